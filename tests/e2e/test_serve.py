"""Nights by the clock: the real command, its Prefect server, a night through the API, one summary, and a clean end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_API_AUTH_STRING, temporary_settings

from flows.serve import SECRET_NAME, _children, api, kept_secret, local_zone, schedule_of
from flows.server import ServerError
from nada.errors import ParamsError
from tasks.status.status_file import load_status
from tests.project import BROKEN, PARAMS, SKETCH, Project, project, write_own_tasks
from tests.receiver import receiver

__all__ = ["project"]

BOUND_SECONDS = 600.0  # of each step, on a busy machine


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Ask until it is so, the process ends, or the bound is reached."""
    deadline = time.monotonic() + BOUND_SECONDS
    while not what():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)


def asked(url: str, body: dict[str, object], auth: tuple[str, str] | None = None) -> httpx.Response:
    """The answer of Prefect's API; while its database is busy it says 503, and its own client asks again, too."""
    deadline = time.monotonic() + BOUND_SECONDS
    while (answer := httpx.post(url, json=body, auth=auth, timeout=BOUND_SECONDS)).status_code == 503:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return answer


def test_a_served_night_trains_sends_one_summary_and_leaves_no_process(project: Project) -> None:
    project.prompts(SKETCH, BROKEN)
    write_own_tasks(project.folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    api = f"http://127.0.0.1:{port}/api"
    with receiver(200) as (address, received):
        environment["HOOK"] = address
        (project.folder / "params.yaml").write_text(PARAMS.replace("device: cpu", "device: cpu\n  webhook: $HOOK"))
        with (
            (project.folder / "serve.log").open("w+") as log,
            subprocess.Popen(
                [sys.executable, "-m", "flows.cli.main", "serve", "--cron", "0 3 1 1 *", "--port", str(port)],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            ) as process,
        ):
            try:
                wait_for(lambda: "Nights   0 3 1 1 *" in said(log.name), process)
                deployments: list[dict[str, str]] = []

                secret = Path(".prefect", SECRET_NAME)
                assert secret.stat().st_mode & 0o077 == 0
                user, password = secret.read_text().split(":")

                def deployed() -> bool:
                    deployments[:] = asked(f"{api}/deployments/filter", {}, (user, password)).json()
                    return bool(deployments)

                wait_for(deployed, process)
                url, start = (
                    f"{api}/deployments/{deployments[0]['id']}/create_flow_run",
                    {"state": {"type": "SCHEDULED"}},
                )
                assert asked(url, start).status_code == 401
                assert asked(url, start, (user, password)).status_code == 201
                wait_for(lambda: bool(received), process)
                children = descendants(process.pid)
                process.send_signal(signal.SIGTERM)
                process.wait(BOUND_SECONDS)
            finally:
                process.kill()
    out = said(log.name)
    assert process.returncode == 0, out
    assert "Traceback" not in out
    assert password not in out
    deadline = time.monotonic() + BOUND_SECONDS  # Python's resource tracker sees its parent go, and then goes itself
    while any(map(lives, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in children if lives(pid)] == []
    status = load_status()
    assert status is not None
    assert (status.state, list(status.done), list(status.failed)) == ("finished", ["sketch"], ["broken"])
    ((_, _, summary),) = received
    assert (summary["state"], summary["trained"], summary["failed"], summary["left"]) == ("finished", 1, 1, 0)
    assert Path(summary["report"]).is_file()
    secret = address.rpartition("/")[2]
    kept = [path for path in project.folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert kept == []


def lives(pid: int) -> bool:
    """Whether a process is still there."""
    return Path(f"/proc/{pid}").exists()


def said(log: str) -> str:
    """What the command printed so far."""
    return Path(log).read_text()


def descendants(pid: int) -> list[int]:
    """Every process below this one."""
    found: list[int] = []
    with suppress(OSError):  # it has ended meanwhile
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError):  # or this one of its threads has
                found += map(int, children.read_text().split())
    return found + [below for child in found for below in descendants(child)]


def test_a_thread_that_ends_while_children_are_looked_for_hides_none(monkeypatch: pytest.MonkeyPatch) -> None:
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda *asked: [Path("/proc/self/task/0/children"), *glob(*asked)])
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in _children()


def test_the_secret_is_the_same_for_every_start_and_for_this_user_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "new"))
    secret, path = kept_secret()
    assert path is not None
    path.chmod(0o644)
    assert kept_secret() == (secret, path)
    assert (path.read_text(), path.stat().st_mode & 0o777) == (secret, 0o600)
    path.write_text("")
    assert kept_secret()[0] not in ("", secret)
    with temporary_settings({PREFECT_SERVER_API_AUTH_STRING: "me:mine"}):
        assert kept_secret() == ("me:mine", None)


def test_a_schedule_is_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    schedule = schedule_of("0 22 * * *")
    assert (schedule.cron, schedule.timezone) == ("0 22 * * *", "Europe/Berlin")
    monkeypatch.delenv("TZ")
    assert local_zone()


@pytest.mark.parametrize("zone", ["Not/AZone", "CET-1CEST", "/etc/localtime", "Europe", "../x"])
def test_a_time_zone_that_is_none_is_refused(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    with pytest.raises(ParamsError, match=rf"^TZ: '{zone}' names no time zone; expected one such as Europe/Berlin$"):
        schedule_of("0 22 * * *")


@pytest.mark.parametrize("cron", ["at ten", "0 0 22 * * *"])  # with seconds first: it would be the 22nd, at midnight
def test_a_schedule_that_cannot_be_read_is_refused(cron: str) -> None:
    with pytest.raises(ParamsError) as refusal:
        schedule_of(cron)
    assert str(refusal.value).startswith(f"--cron: {cron!r} is no schedule; expected minute, hour, day, month and ")


def test_a_port_that_is_taken_is_refused() -> None:
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),  # other tests of the session share a server
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ServerError, match=r"^127\.0\.0\.1:\d+: Address already in use; choose another --port$"),
        api(taken.getsockname()[1]),
    ):
        pytest.fail("served on a port that is taken")
