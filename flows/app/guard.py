"""What keeps other web sites away from an app that runs on somebody's machine."""

from __future__ import annotations

import sys
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.cli.terminal import unexpected

OURS = "x-nada-app"
"""In every request that changes something. No other site's page can send it: browsers ask first, and get no answer."""
LOCAL = ("127.0.0.1", "localhost", "::1")
FROM_US = ("same-origin", "none")
"""What browsers say of requests of the page, and of an address that somebody typed. Another site's pictures and links
could start work by addresses alone."""
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
        names: that it answers by; any where there are none. Other sites may bend names of theirs to an address (DNS
            rebinding).
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await (self._refusal(scope) or self.app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        if self.names and _name(headers.get("host", "")) not in self.names:
            return JSONResponse({"error": f"this app answers {', '.join(sorted(self.names))} alone"}, 421)
        if scope["path"].startswith("/api/") and headers.get("sec-fetch-site", "none") not in FROM_US:
            return JSONResponse({"error": "this app answers its own page alone"}, 403)
        if scope["method"] not in ("GET", "HEAD") and OURS not in headers:
            return JSONResponse({"error": f"{OURS} is missing"}, 403)
        return None


class Surprises:
    """What nobody foresaw: one line on the terminal and to the page; the server's own way is a traceback.

    Args:
        app: what may break off.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as err:
            said = unexpected(err)
            print(said, file=sys.stderr)
            if not has_begun:
                await JSONResponse({"error": said}, 500)(scope, receive, send)


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # such as a bracket that is never closed
        return None
