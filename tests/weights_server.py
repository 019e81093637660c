"""A web server of this machine that serves one body, well or badly, and notes what it was asked."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
LAST_MODIFIED = "Wed, 01 Nov 2023 12:00:00 GMT"


@dataclass
class Shop:
    """What the server serves; a test changes it while it runs."""

    body: bytes
    etag: str | None = '"first"'
    ranges: bool = True
    heeds_if_range: bool = True
    compressed: bool = False
    content_type: str = "application/octet-stream"
    says_length: int | None = None
    """In place of the true one."""
    statuses: list[int] = field(default_factory=list)
    """Of the next answers, before it serves the body."""
    redirects: list[str] = field(default_factory=list)
    """Where the next answers send the caller."""
    drops: list[int] = field(default_factory=list)
    """The next answers break off after so many bytes of body."""
    stalls: list[int] = field(default_factory=list)
    """The next answers fall silent after so many bytes of body."""
    asked: list[dict[str, str]] = field(default_factory=list)
    """Headers of every request."""
    address: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def ranges_asked(self) -> list[str | None]:
        """The Range of every request."""
        return [headers.get("Range") for headers in self.asked]


class Counter(BaseHTTPRequestHandler):
    """Answers one request after the shop's wishes."""

    shop: Shop
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        shop = self.shop
        shop.asked.append(dict(self.headers))
        self.close_connection = True
        if shop.redirects:
            return self.head(302, {"Location": shop.redirects.pop(0), "Content-Length": "0"})
        if shop.statuses:
            return self.head(shop.statuses.pop(0), {"Content-Length": "0"})
        body = gzip.compress(shop.body) if shop.compressed else shop.body
        start, status = self.start_of_range(len(body))
        headers = {"Content-Type": shop.content_type}
        headers |= {"ETag": shop.etag, "Last-Modified": LAST_MODIFIED} if shop.etag else {}
        headers |= {"Content-Encoding": "gzip"} if shop.compressed else {}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        if status == 416:
            return self.head(416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
        rest = body[start:]
        self.head(status, {**headers, "Content-Length": str(shop.says_length or len(rest))})
        if shop.drops:
            rest = rest[: shop.drops.pop(0)]
        elif shop.stalls:
            self.wfile.write(rest[: shop.stalls.pop(0)])
            shop.closing.wait()
            return None
        self.wfile.write(rest)

    def start_of_range(self, length: int) -> tuple[int, int]:
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        is_same = condition in (None, self.shop.etag) or not self.shop.heeds_if_range
        if wanted is None or not self.shop.ranges or not is_same:
            return 0, 200
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        return (start, 206) if start < length else (0, 416)

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def serving(body: bytes) -> Iterator[Shop]:
    """A shop on 127.0.0.1, open while inside."""
    shop = Shop(body)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("ShopCounter", (Counter,), {"shop": shop}))
    server.daemon_threads = False
    shop.address = f"http://127.0.0.1:{server.server_port}/generator.pkl"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield shop
    finally:
        shop.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has for the world outside, this server is asked directly."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
