"""Who is answered by `nada app`, and how: its own page, by its own names, and never with a traceback."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from flows.app.guard import HEADERS, LOCAL, OURS
from flows.app.server import Server
from tasks.library.studio import Studio
from tests.conftest import tiny_generator
from tests.project import Project, project
from tests.records import publish_made

__all__ = ["project"]


def client(names: Collection[str] = LOCAL) -> TestClient:
    return TestClient(Server(Studio(Path("params.yaml"), "cpu"), "mine").application(names), "http://127.0.0.1")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200), ("localhost", 200), ("[::1]:7860", 200), ("127.0.0.2:7860", 200),
        ("127.0.0.3", 421), ("evil.example", 421), ("", 421), ("[::1", 421), ("[x]", 421),
    ],
)  # fmt: skip
def test_it_answers_by_its_own_names_alone(project: Project, host: str, status: int) -> None:
    answer = client({*LOCAL, "127.0.0.2"}).get("/", headers={"host": host})
    assert answer.status_code == status
    assert HEADERS.items() <= dict(answer.headers).items()
    assert client(()).get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("path", "site", "status"),
    [
        ("/api/library", "same-origin", 200), ("/api/library", "none", 200), ("/api/library", None, 200),
        ("/api/library", "cross-site", 403), ("/api/library", "same-site", 403), ("/", "cross-site", 200),
    ],
)  # fmt: skip
def test_another_sites_page_starts_nothing_by_an_address(
    project: Project, path: str, site: str | None, status: int
) -> None:
    answer = client().get(path, headers={} if site is None else {"sec-fetch-site": site})
    assert answer.status_code == status
    assert HEADERS.items() <= dict(answer.headers).items()


def test_what_changes_something_needs_a_header_that_no_form_sends(project: Project) -> None:
    app, bound = client(), time.monotonic() + 60
    assert app.post("/api/photo", content=b"x").status_code == 403
    answer = app.post("/api/photo", content=b"x", headers={OURS: "1"})
    assert answer.status_code == 200
    while app.get(f"/api/photo/{answer.json()['id']}").json()["state"] != "failed":  # what reads it reads this folder
        assert time.monotonic() < bound
        time.sleep(0.01)


def test_a_surprise_is_one_line_and_no_traceback(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(self: Server) -> dict[str, Any]:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(Server, "_library", breaks)
    answer = client().get("/api/library")  # which would raise what the server is left with
    assert answer.status_code == 500
    assert HEADERS.items() <= dict(answer.headers).items()
    said = "nada broke off on an error that it does not know (RuntimeError: nobody foresaw this)"
    assert answer.json()["error"].startswith(said)
    err = project.capture.readouterr().err
    assert err.startswith(said) and err.count("\n") == 1


def test_onnx_is_written_from_the_cpu_wherever_the_app_draws(project: Project, tmp_path: Path) -> None:
    publish_made("sketch", tiny_generator(1))
    server = Server(Studio(Path("params.yaml"), "cuda:0"), "mine")
    server._export([("sketch", 1.0)], tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").stat().st_size > 1000
