"""Prefect's server is replaced when it dies, and leaves with the night, however that ends."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

import flows  # noqa: F401 (settles Prefect's settings before its import)
from flows.server import EmbeddedServer, PrefectServer, ServerError
from tasks.config.project import HERE
from tests.faults.harness import SERVER, WORKER, NightProcess, finished_rows
from tests.faults.held import Held
from tests.project import PARAMS, Project

NOWHERE = "http://127.0.0.1:1"  # an MLflow that is gone
PATIENCE_SECONDS = 300.0  # for an answer; httpx's own 5 are short on a busy machine


def states(project: Project) -> list[str]:
    """What became of the nights, as Prefect's database tells it."""
    with sqlite3.connect(project.folder / ".prefect" / "prefect.db") as database:
        return [state for (state,) in database.execute("select state_type from flow_run order by created")]


def test_nights_end_with_all_that_they_started_and_outlive_servers_and_terminal(project: Project) -> None:
    (project.folder / "params.yaml").write_text(PARAMS.replace("iterations: 4", "iterations: 1000000"))
    with NightProcess(project.folder, MLFLOW_TRACKING_URI=NOWHERE) as night:
        night.wait_for("making, step")
        assert len(night.members(WORKER)) == 2
        assert len(night.members(SERVER)) == 1
        with NightProcess(project.folder, MLFLOW_TRACKING_URI=NOWHERE) as second:
            refused = second.end()
        night.signal(signal.SIGKILL)
        assert night.end().status == -signal.SIGKILL
        assert night.members() == []
    assert refused.status == 2
    assert f"another night runs here (process {night.process.pid}); wait for it" in refused.out
    assert states(project) == ["RUNNING"]

    with NightProcess(project.folder, MLFLOW_TRACKING_URI=NOWHERE) as night:
        night.wait_for("making, step")
        os.killpg(night.process.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
        outcome = night.end()
        assert night.members() == []
    assert states(project) == ["CRASHED", "CRASHED"]  # its server was there to be told
    assert outcome.status == 130, outcome.out
    assert "Stopped. Finished domains are kept; nada run goes on with the others." in outcome.out
    assert "Traceback" not in outcome.out

    (project.folder / "params.yaml").write_text(PARAMS)
    held = Held(project.folder / "held", sketch=0)
    with NightProcess(project.folder, terminal=True, MLFLOW_TRACKING_URI=NOWHERE, **held.environment) as night:
        night.wait_for("loading models")
        (server,) = night.members(SERVER)
        os.kill(server, signal.SIGKILL)
        night.output.close()
        held.let_go("sketch")
        assert night.end().status == 0
        assert night.members() == []
    assert list(finished_rows(project.folder)) == ["robot", "sketch"]
    assert states(project) == ["CRASHED", "CRASHED", "COMPLETED"]
    assert json.loads((project.folder / HERE.status).read_text())["unrecorded"]


QUESTIONS = {
    "a page of another origin": {"Origin": "https://example.org"},
    "a page without one": {"Origin": "null", "Content-Type": "text/plain"},
    "a name that means this machine for now": {"Host": "example.org"},
    "another user": {},
    "one who guesses": {"Authorization": f"Basic {base64.b64encode(b'admin:pass').decode()}"},
}


def test_a_server_answers_nobody_who_does_not_know_its_secret(services: dict[str, str]) -> None:
    url, (user, password) = services["PREFECT_API_URL"], services["PREFECT_API_AUTH_STRING"].split(":")
    for name, headers in QUESTIONS.items():
        for path in ("deployments/filter", "flow_runs/filter", "admin/database/clear"):
            answer = httpx.post(f"{url}/{path}", content=b"{}", headers=headers, timeout=PATIENCE_SECONDS)
            assert answer.status_code == 401, (name, path)
            assert "access-control-allow-origin" not in answer.headers, name
    known = httpx.post(f"{url}/flow_runs/filter", json={}, auth=(user, password), timeout=PATIENCE_SECONDS)
    assert known.status_code == 200
    with temporary_settings({PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: f"{user}:{password}"}):
        PrefectServer()
    with (
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(
            ServerError, match=rf"^{url}: Prefect asks who we are; set PREFECT_API_AUTH_STRING to its secret"
        ),
    ):
        PrefectServer()
    preflight = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(f"{url}/flow_runs/filter", headers=preflight, timeout=PATIENCE_SECONDS)
    assert "access-control-allow-origin" not in answer.headers


def test_a_server_that_cannot_start_says_why_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prefect.db").write_text("no database at all " * 100)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr("flows.server.RESTARTS", 0)
    server = EmbeddedServer()
    said = r"^Prefect's embedded server did not start \(its process ends at once: .*not a database"
    with pytest.raises(ServerError, match=said):
        server.ready()
    server.stop()


class Idlers(contextlib.nullcontext[Any]):
    """Workers that have every model and nothing else to do."""

    workers = ()

    def run(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> Idlers:
        return self


def test_a_server_that_is_replaced_while_it_is_to_end_ends_with_its_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    replacing, goes_on = threading.Event(), threading.Event()

    def start(_: EmbeddedServer) -> subprocess.Popen[bytes]:
        if started:
            replacing.set()
            assert goes_on.wait(PATIENCE_SECONDS)
        started.append(subprocess.Popen(["sleep", "600"]))
        return started[-1]

    monkeypatch.setattr(EmbeddedServer, "_start", start)
    monkeypatch.setattr("flows.server.PAUSE_SECONDS", 0.0)
    server = EmbeddedServer()
    started[0].kill()
    assert replacing.wait(PATIENCE_SECONDS)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    stopping.join(0.5)  # without a lock it is through by then, and knows of the first alone
    goes_on.set()
    stopping.join(PATIENCE_SECONDS)
    try:
        assert len(started) == 2
        started[1].wait(10)
    finally:
        for process in started:
            process.kill()


# A server that comes to the end of the first of the migrations, says so, and goes no further.
STOPS_AMID_TABLES = """
import time
from alembic.runtime.migration import HeadMaintainer
from flows.server_process import main

update = HeadMaintainer.update_to_step

def stop(self, step):
    update(self, step)
    print("amid", flush=True)
    time.sleep(600)

HeadMaintainer.update_to_step = stop
main()
"""


def test_a_server_that_is_killed_amid_its_first_tables_hinders_no_later_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {**os.environ, "PREFECT_HOME": str(home), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{home / 'prefect.db'}"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd, url = listening.fileno(), f"http://127.0.0.1:{listening.getsockname()[1]}/api/health"
        given = (str(fd), str(os.getpid()))
        amid = [sys.executable, "-c", STOPS_AMID_TABLES, *given]
        with subprocess.Popen(amid, env=environment, pass_fds=[fd], stdout=subprocess.PIPE, text=True) as first:
            assert first.stdout is not None
            assert first.stdout.readline() == "amid\n"
            first.kill()
        (unfinished,) = home.glob("unfinished-*/prefect.db")
        assert unfinished.stat().st_size
        assert not (home / "prefect.db").exists()
        with subprocess.Popen([sys.executable, "-m", SERVER, *given], env=environment, pass_fds=[fd]) as second:
            assert httpx.get(url, timeout=PATIENCE_SECONDS).status_code == 200
            second.kill()
    assert not [*home.glob("unfinished-*")]


def test_a_server_that_goes_for_good_costs_its_own_entries_alone(
    project: Project, services: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(services["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")).parent  # its database is made already
    monkeypatch.setenv("PREFECT_HOME", str(home))
    server = EmbeddedServer()
    server.ready()
    access = {setting.name: value for setting, value in server.access.items()}
    held = Held(project.folder / "held", sketch=0)
    named = {**services, **access, **held.environment, "PREFECT_CLIENT_MAX_RETRIES": "0"}
    with NightProcess(project.folder, **named) as night:
        night.wait_for("loading models")
        server.stop()
        held.let_go("sketch")
        outcome = night.end()
    assert outcome.status == 0, outcome.out
    assert "Prefect: the end of the night was not recorded" in outcome.out
    assert "Report   " in outcome.out
    assert list(finished_rows(project.folder)) == ["robot", "sketch"]

    with temporary_settings({**server.access, PREFECT_CLIENT_MAX_RETRIES: 0}):
        assert "Nothing to train" in project.nada("run", "--only", "sketch").out
        project.prompts("new,portrait,a new one,style,")
        monkeypatch.setattr("tasks.plan.devices.WorkerPool", Idlers)
        refused = project.nada("run")
        monkeypatch.setattr("flows.server.answers", lambda: True)  # it did a moment ago
        cut_off = project.nada("run")
    assert cut_off.status == 1
    assert cut_off.err.startswith("Prefect: the night could not start (Failed to reach API at")
    assert refused.status == 1
    assert refused.err == (f"{server.url}: Prefect does not answer; start it, or unset PREFECT_API_URL to embed one\n")
