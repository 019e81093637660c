"""What keeps other web sites away from an app that runs on somebody's machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OURS = "x-nada-app"
"""In every request that changes something. No other site's page can send it: browsers ask first, and get no answer."""
LOCAL = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Answers nobody but the page itself, and lets the page ask nobody else.

    Args:
        app: what it guards.
        is_local: whether only this machine's own names are answered, whatever name an address was found by (DNS
            rebinding).
    """

    def __init__(self, app: ASGIApp, is_local: bool) -> None:
        self.app, self.is_local = app, is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        name = urlsplit(f"//{headers.get('host', '')}").hostname
        if self.is_local and name not in LOCAL:
            await JSONResponse({"error": "this app answers 127.0.0.1 and localhost alone"}, 421)(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD") and OURS not in headers:
            await JSONResponse({"error": f"{OURS} is missing"}, 403)(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, guarded)
