"""What `nada status` says while a night runs, when it ended, and when it died."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.config.project import HERE
from tasks.plan.queue import RowQueue
from tasks.status import live_page
from tasks.status.status_file import Status, last_night_is_closed, left_by_the_last_night, load_status
from tasks.status.writer import StatusWriter
from tasks.store.locks import only_night
from tasks.store.record import Record
from tasks.workers.news import Progress
from tests.project import Project, project
from tests.records import make_record

__all__ = ["project"]


def record(domain: str) -> Record:
    return make_record(
        domain,
        scores={"retrieval_accuracy": 0.75, "structure_ratio": 0.75, "directional_similarity": 0.5},
        nearest={"a target": 16},
    )


@pytest.fixture
def status_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StatusWriter]:
    """A night of five rows on one worker: one runs, one failed, one is done, one waits and one does not fit."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tasks.status.writer.WRITE_SECONDS", 0.0)
    with only_night():
        started = datetime.now().astimezone()
        status_writer = StatusWriter("night 1", started, num_rows=6, deadline=started + timedelta(seconds=1000))
        waiting = RowQueue({"long": 990.0, "runs": 40.0, "lost": 30.0, "done": 20.0, "waits": 10.0}, deadline=1000.0)
        status_writer.running(waiting, workers=1, current=1)
        for _ in range(3):
            waiting.take(20.0)
        status_writer.finished(record("done"))
        status_writer.failed("lost", "step 0: the loss is inf")
        status_writer.progress(Progress(domain="runs", step=50, total=200, loss=0.41, phase="make"))
        yield status_writer


def test_a_running_night_is_readable_from_its_file(status_writer: StatusWriter) -> None:
    status = load_status()
    assert status is not None
    assert (status.state, status.pid, status.num_rows, status.current) == ("running", os.getpid(), 6, 1)
    assert [(row.domain, row.step, row.total, row.loss) for row in status.running] == [("runs", 50, 200, 0.41)]
    assert status.done == {"done": "75% find their prompt, variety kept 75%"}
    assert status.failed == {"lost": "step 0: the loss is inf"}
    assert status.waiting == ["long", "waits"]
    assert status.left == ["long"]
    assert status.expected_end is not None
    left = datetime.fromisoformat(status.expected_end) - datetime.fromisoformat(status.updated)
    assert timedelta(seconds=48) <= left <= timedelta(seconds=52)  # 40 of the running row, 10 of the waiting one


def test_the_status_of_a_running_night_tells_everything_in_plain_lines(
    project: Project, status_writer: StatusWriter
) -> None:
    out = project.nada("status").out
    for words in (
        f"night 1 (process {os.getpid()}): running for ",
        "6 domains: 1 trained, 1 kept from before, 1 running, 1 failed, 2 waiting",
        "Should end about ",
        "50/200  0.410",
        "lost    step 0: the loss is inf",
        "done  off-target  75% find their prompt",
        "Will be left for the next night: long",
        "Waiting: waits",
    ):
        assert words in out, out
    assert "\x1b" not in out


def test_a_row_that_is_judged_counts_no_steps_though_it_stopped_early(
    project: Project, status_writer: StatusWriter
) -> None:
    status_writer.progress(Progress(domain="runs", step=160, total=300, loss=None, phase="judge"))
    out = project.nada("status").out
    (line,) = (line for line in out.splitlines() if "judging" in line)  # others tell times, and the process's number
    assert "160" not in line
    status_writer.progress(Progress(domain="runs", step=160, total=300, loss=0.4, phase="make"))
    assert "160/300" in project.nada("status").out


def test_a_night_whose_process_is_gone_has_died_and_says_how_to_go_on(
    project: Project, status_writer: StatusWriter
) -> None:
    left_behind = HERE.status.read_bytes()
    lock = Path("weights/.night.lock")
    lock.rename(lock.with_suffix(".old"))  # the lock of a process that is gone is held by nobody
    assert HERE.status.read_bytes() == left_behind
    out = project.nada("status").out
    assert f"night 1 (process {os.getpid()}): died after " in out
    assert "it was killed, or the machine stopped. Finished domains are kept; nada run goes on." in out
    assert json.loads(project.nada("status", "--json").out)["state"] == "died"


def test_a_night_that_broke_off_names_its_problem(project: Project, status_writer: StatusWriter) -> None:
    status_writer.state("broken", problem="reports: cannot be written (No space left on device)")
    out = project.nada("status").out
    assert "broke off after" in out
    assert "reports: cannot be written (No space left on device)" in out


def test_what_the_deadline_left_is_known_to_the_next_night_only_if_the_night_ended(status_writer: StatusWriter) -> None:
    assert left_by_the_last_night() == []
    status_writer.state("finished", report="reports/1/index.html")
    assert left_by_the_last_night() == ["long", "waits"]


def test_a_night_is_closed_when_it_ended_and_mlflow_knows(
    status_writer: StatusWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not last_night_is_closed()  # whoever has the lock asks of the one before, and that died
    monkeypatch.setattr("tasks.store.locks._held", set())
    assert last_night_is_closed()  # another process's runs
    Path("weights/.night.lock").rename("weights/.night.old")
    assert not last_night_is_closed()  # it died
    status_writer.state("interrupted")
    assert not last_night_is_closed()
    status_writer.state("finished")
    assert last_night_is_closed()
    status_writer.not_recorded()
    status_writer.state("finished")
    assert not last_night_is_closed()
    HERE.status.unlink()
    assert last_night_is_closed()


def test_watching_ends_with_the_night(project: Project, status_writer: StatusWriter) -> None:
    status_writer.state("finished", report="reports/1/index.html")
    assert f"Report   {Path.cwd()}/reports/1/index.html" in project.nada("status", "--watch").out


def test_before_the_first_night_there_is_nothing_to_say(project: Project) -> None:
    outcome = project.nada("status")
    assert (outcome.status, outcome.out) == (
        0,
        "No night has run here yet: nada plan shows what one would do, nada run starts it.\n",
    )


@pytest.mark.parametrize("options", [[], ["--watch"], ["--json"], ["--page"]])
def test_of_a_folder_that_is_no_project_nothing_is_said_and_nothing_written(
    project: Project, options: list[str]
) -> None:
    Path("params.yaml").unlink()
    before = sorted(Path().iterdir())
    outcome = project.nada("status", *options)
    assert (outcome.status, outcome.out, sorted(Path().iterdir())) == (2, "", before)
    assert outcome.err == "params.yaml: no such file, and no night has run here; run nada in the project's folder\n"


def test_a_damaged_status_is_one_clear_error(project: Project) -> None:
    HERE.status.parent.mkdir()
    HERE.status.write_text("{")
    outcome = project.nada("status")
    assert outcome.status == 1
    assert outcome.err.startswith("weights/.night.json: not the status of a night (")


def test_a_disk_that_cannot_be_written_costs_the_status_alone(status_writer: StatusWriter) -> None:
    HERE.status.unlink()
    HERE.status.mkdir()
    status_writer.finished(record("runs"))
    assert status_writer.status.running == []


def test_a_status_that_takes_long_to_write_is_written_less_often(
    status_writer: StatusWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("tasks.status.writer.WRITE_SECONDS", 1.0)
    clock = SimpleNamespace(monotonic=lambda: now, time=time.time)  # the writer's: other threads keep the true one
    monkeypatch.setattr("tasks.status.writer.time", clock)
    written: list[float] = []

    def slowly(_: Status) -> None:
        nonlocal now
        now += 0.5
        written.append(now)

    monkeypatch.setattr("tasks.status.writer.save_status", slowly)
    status_writer.paused(True)  # told at once
    for _ in range(240):
        now += 0.25
        status_writer.progress(Progress(domain="runs", step=60, total=200, loss=0.4, phase="make"))
    assert len(written) == 7  # at once, and six times in a minute: each takes half a second, ten times what is light


def test_the_live_page_is_told_of_the_latest_rows_and_of_how_many_there_are(
    status_writer: StatusWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.status.live_page.MOST", 3)
    for index in range(5):
        live_page.show(f"row-{index}", b"a picture")
        status_writer.finished(record(f"row-{index}"))
    news = json.loads((HERE.live / "night.js").read_text().removeprefix("show(").removesuffix(");\n"))
    assert list(news["done"]) == list(news["verdicts"]) == ["row-2", "row-3", "row-4"]
    assert news["numbers"] == {"done": 6, "failed": 1, "waiting": 2}
    assert [live_page.picture_path(f"row-{index}").exists() for index in range(5)] == [False] * 2 + [True] * 3
    assert len(load_status().done) == 6  # type: ignore[union-attr]
