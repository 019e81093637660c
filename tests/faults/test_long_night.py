"""One story: a night in which every row meets another fault, a kill of everything, and the morning after."""

from __future__ import annotations

import os
import re
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.harness import AS_A_SCRIPT, NightProcess, finished_rows, statuses
from tests.faults.held import Held
from tests.project import HEADER, PARAMS, Outcome, make_project, row_bytes

LIMIT_SECONDS = 20  # of a row in the night of faults, as its settings say
# One row alone may come too late there, however busy the machine is; the others, and the models, take their time.
PATIENT_WITH_OTHERS = f"""
from tasks.workers import local
converse = local.Worker.converse
local.Worker.converse = lambda worker, request, hear, seconds: converse(
    worker, request, hear, seconds if worker.about == "stuck" else 7200.0
)
{AS_A_SCRIPT}
"""
STEPS = 200  # of the long row
DONE, DONE_AT_NIGHT = 19, 120  # of them, where it loses its worker, and then the night
LOCKED_SECONDS = 60.0
PARAMS_OF_FAULTS = (
    PARAMS.replace("night:\n", "night:\n  checkpoint_minutes: 0   # saved after every step\n").replace(
        "workers: 2", "workers: 1"
    )
    + f"  long:\n    iterations: {STEPS}\n"
)
ROWS = ("fine", "late", "stuck", "full", "lost", "long")


def recipe(domain: str) -> str:
    return domain if domain in ("broken", "long") else "style"


def start(
    folder: Path,
    services: dict[str, str],
    *domains: str,
    limit_seconds: float = 7200,
    script: str = AS_A_SCRIPT,
) -> NightProcess:
    lines = [f"{domain},portrait,a {domain} one,{recipe(domain)}," for domain in domains]
    limit = f"night:\n  row_timeout_minutes: {limit_seconds / 60}\n"
    (folder / "params.yaml").write_text(PARAMS_OF_FAULTS.replace("night:\n", limit))
    (folder / "prompts.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return NightProcess(folder, command=(sys.executable, "-c", script, "run"), **services)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, tiny_world: Path, services: dict[str, str]
) -> dict[str, dict[str, bytes]]:
    """Every row's bytes after a night that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    make_project(folder, tiny_world)
    with start(folder, services, *ROWS) as night:
        assert night.end().status == 0
    return {domain: row_bytes(folder, domain) for domain in ROWS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Path:
    folder = tmp_path_factory.mktemp("disturbed")
    make_project(folder, tiny_world)
    return folder


def end_worker(night: NightProcess, number: signal.Signals) -> None:
    """Send it the signal; whoever then looks for a worker finds the next one."""
    pid = night.worker
    os.kill(pid, number)
    while pid in night.members():
        time.sleep(0.01)


def kill(night: NightProcess) -> None:
    end_worker(night, signal.SIGKILL)


def crash(night: NightProcess) -> None:
    end_worker(night, signal.SIGSEGV)


def stop(night: NightProcess) -> None:
    os.kill(night.worker, signal.SIGSTOP)


def forbid_files(night: NightProcess) -> None:
    """As a full disk would; the workers hold no limit that we could not lift again."""
    _, hard = resource.prlimit(night.worker, resource.RLIMIT_FSIZE)
    resource.prlimit(night.worker, resource.RLIMIT_FSIZE, (10, hard))


def allow_files(night: NightProcess) -> None:
    _, hard = resource.prlimit(night.worker, resource.RLIMIT_FSIZE)
    resource.prlimit(night.worker, resource.RLIMIT_FSIZE, (hard, hard))


HARM: dict[str, list[Callable[[NightProcess], None]]] = {
    "late: loading models": [kill],
    "lost: loading models": [kill, crash],  # and once more when it is tried again
    "stuck: loading models": [stop],
    "full: loading models": [forbid_files],
    "full: FAILED": [allow_files],
}
HELD = ("late", "lost", "stuck", "full")
"""Rows that take no second step before all harm was done to them."""


@pytest.fixture(scope="module")
def night(folder: Path, services: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """A night of faults."""
    held = Held(tmp_path_factory.mktemp("night") / "held", **dict.fromkeys(HELD, 0))
    rows, named = ("broken", *ROWS[:-1]), {**services, **held.environment}
    with start(folder, named, *rows, limit_seconds=LIMIT_SECONDS, script=PATIENT_WITH_OTHERS) as night:
        left = {moment: list(actions) for moment, actions in HARM.items()}
        for line in night.read():
            for moment in [moment for moment, actions in left.items() if moment in line and actions]:
                left[moment].pop(0)(night)
                if moment.endswith("models") and not left[moment]:
                    held.let_go(moment.partition(":")[0])
        yield night.end()
        assert night.members() == []


def test_every_row_that_could_be_made_is_there_and_every_other_says_why(folder: Path, night: Outcome) -> None:
    assert night.status == 1, night.out
    reasons = dict(re.findall(r"\d\d:\d\d:\d\d (\w+): FAILED; (.+)", night.out))
    assert set(reasons) == {"broken", "lost", "stuck", "full"}
    assert "lost: tried again; the worker process died (signal SIGKILL" in night.out
    assert reasons["lost"].startswith("the worker process died (signal SIGSEGV")
    assert reasons["stuck"] == f"no result within {LIMIT_SECONDS} s; the worker was killed"
    assert "step 0: the loss is inf" in reasons["broken"]
    assert "cannot be written" in reasons["full"]
    assert list(finished_rows(folder)) == ["fine", "late"]


def test_every_row_has_one_run_in_mlflow(folder: Path, night: Outcome, services: dict[str, str]) -> None:
    assert statuses(folder, services["MLFLOW_TRACKING_URI"]) == {
        "": ["FAILED"],
        "broken": ["FAILED"],
        "fine": ["FINISHED"],
        "full": ["FAILED"],
        "late": ["FINISHED"],
        "lost": ["FAILED"],
        "stuck": ["FAILED"],
    }


@pytest.fixture(scope="module")
def killed(folder: Path, night: Outcome, services: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A night whose long row loses its worker, then everything; what it printed."""
    held = Held(tmp_path_factory.mktemp("killed") / "held", long=(DONE, DONE_AT_NIGHT))
    with start(folder, {**services, **held.environment}, *ROWS) as going:
        held.wait_for("long", DONE, going)
        kill(going)
        held.let_go("long", DONE)
        going.wait_for("long: goes on after step")
        held.wait_for("long", DONE_AT_NIGHT, going)
        going.signal(signal.SIGKILL)
        outcome = going.end()
        assert going.members() == []
        assert outcome.status == -signal.SIGKILL
        return outcome.out


@pytest.fixture(scope="module")
def morning(
    folder: Path, killed: str, services: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outcome]:
    """A last night, on torn results, while somebody holds MLflow's database."""
    adapted = folder / "weights" / "adapted"
    weights = adapted / "fine" / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    (adapted / "late" / "row.json").write_text('{"key": "')
    database = services["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")
    held = Held(tmp_path_factory.mktemp("morning") / "held", fine=0)
    with (
        closing(sqlite3.connect(database, timeout=LOCKED_SECONDS, isolation_level=None)) as other,
        start(folder, {**services, **held.environment}, *ROWS) as night,
    ):
        night.wait_for("Loading the models")
        other.execute("BEGIN EXCLUSIVE")
        held.let_go("fine")  # the first row: of all that was made nothing is recorded yet
        night.wait_for("MLflow: not recorded now, tried again in minutes, at the end, and by the next night")
        other.execute("ROLLBACK")
        yield night.end()
        assert night.members() == []


def test_a_row_goes_on_where_its_worker_and_then_its_night_were_killed(killed: str, morning: Outcome) -> None:
    for out, done in ((killed, DONE), (morning.out, DONE_AT_NIGHT)):
        assert re.findall(rf"long: goes on after step (\d+) of {STEPS}", out) == [str(done)]


def test_in_the_morning_every_row_has_the_bytes_of_an_undisturbed_night(
    folder: Path, morning: Outcome, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    assert morning.status == 0, morning.out
    for domain in ROWS:
        assert row_bytes(folder, domain) == undisturbed[domain], domain
    assert not list((folder / "weights" / "adapted").glob(".*"))


def test_in_the_morning_mlflow_has_every_row_once_and_nothing_runs(
    folder: Path, morning: Outcome, services: dict[str, str]
) -> None:
    found = statuses(folder, services["MLFLOW_TRACKING_URI"])
    assert found.pop("") == ["FAILED", "FINISHED", "KILLED"]  # a night's run is opened before anything is trained
    assert found.pop("broken") == ["FAILED"]
    for domain, runs in found.items():
        assert [run for run in runs if run != "FAILED"] == ["FINISHED"], domain
    assert set(found) == set(ROWS)
