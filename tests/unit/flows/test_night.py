from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from prefect.utilities.engine import collect_task_run_inputs_sync

import flows.night
from flows.cli.display import make_display
from flows.context import check_models
from flows.night import run_night
from nada.errors import InputError, OutputError
from tasks.config.project import HERE
from tasks.context import NightContext
from tasks.evaluate import retrieve_rows
from tasks.make import make_row
from tasks.plan.queue import RowQueue
from tasks.record import open_outbox, write_outbox, write_report
from tasks.status.writer import StatusWriter
from tasks.store.record import EVALUATION_NAME, MAKING_NAME, RETRIEVAL_NAME, Record, write_entry
from tasks.tracking.refusals import StoreError, StoreRefusedError
from tasks.workers.pool import RETRIEVE_ROWS, WorkerDiedError
from tests.records import make_record

NOW = datetime.now().astimezone()


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str, style: str = "") -> None:
        self.lines.append(text)


class Shut:
    """A outbox whose store refuses."""

    def write_last(self) -> None:
        raise OutputError("mlflow: database is locked")


def test_a_lost_mlflow_store_is_told_and_the_night_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status_writer = StatusWriter("night", NOW, 0)
    context = NightContext(None, None, Heard(), status_writer, RowQueue({}), NOW)  # type: ignore[arg-type]
    context.outbox = Shut()  # type: ignore[assignment]
    write_outbox.fn(context)
    assert status_writer.status.unrecorded
    assert context.listener.lines == [  # type: ignore[attr-defined]
        "MLflow: not recorded now, the next night tries again (mlflow: database is locked)",
    ]


class Odd:
    """An outbox with an entry that breaks off as nobody foresaw."""

    def open(self) -> tuple[str, ...]:
        return ()

    def start(self, refused: Callable[[Exception], None]) -> None:
        refused(KeyError("an entry's own mistake"))


def test_whatever_goes_wrong_while_a_row_is_recorded_costs_its_record_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    context = NightContext(None, None, Heard(), None, RowQueue({}), NOW)  # type: ignore[arg-type]
    context.outbox = Odd()  # type: ignore[assignment]
    open_outbox(context)
    (line,) = context.listener.lines  # type: ignore[attr-defined]
    assert line.startswith(
        "MLflow: not recorded now, tried again in minutes, at the end, and by the next night (KeyError"
    )


class Opening:
    """An outbox whose store does as told when the night begins."""

    def __init__(self, answer: Exception | tuple[str, ...]) -> None:
        self.answer = answer

    def open(self) -> tuple[str, ...]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def start(self, refused: Callable[[Exception], None]) -> None:
        self.started = True


def test_the_store_is_opened_before_anything_is_made_and_only_a_refusal_for_good_ends_the_night() -> None:
    context = NightContext(None, None, Heard(), None, RowQueue({}), NOW)  # type: ignore[arg-type]
    for answer in (("made anew",), StoreError("MLflow: no answer")):
        context.outbox = Opening(answer)  # type: ignore[assignment]
        open_outbox(context)
        assert context.outbox.started  # type: ignore[attr-defined]
    assert context.listener.lines == [  # type: ignore[attr-defined]
        "MLflow: made anew",
        "MLflow: not recorded now, tried again in minutes, at the end, and by the next night (MLflow: no answer)",
    ]
    context.outbox = Opening(StoreRefusedError("MLflow: no driver; install it"))  # type: ignore[assignment]
    with pytest.raises(InputError, match="no driver; install it"):
        open_outbox(context)


class Changing(dict[str, Any]):
    """What a row of another thread may change at any time."""

    def items(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


def test_prefect_does_not_walk_through_what_rows_write_to() -> None:
    context = NightContext(None, None, None, None, RowQueue({}), NOW)  # type: ignore[arg-type]
    context.records = Changing(sketch={})
    assert collect_task_run_inputs_sync(context) == set()


class Dying:
    """Workers that die as often as told, while they load the models."""

    def __init__(self, deaths: int) -> None:
        self.deaths = deaths

    def run(self, *_: Any, **__: Any) -> None:
        self.deaths -= 1
        if self.deaths >= 0:
            raise WorkerDiedError("the worker process died (signal SIGKILL)")


def test_a_worker_that_dies_while_it_loads_the_models_is_given_a_second_try() -> None:
    plan: Any = SimpleNamespace(check_job=lambda: "every model", row_seconds=60.0)
    check_models(plan, Dying(deaths=1))  # type: ignore[arg-type]
    with pytest.raises(WorkerDiedError):
        check_models(plan, Dying(deaths=2))  # type: ignore[arg-type]


class Crowded:
    """A plan on a disk without room for one more row."""

    by_domain = MappingProxyType({"sketch": "its result"})

    def check_disk(self, rows: Any) -> None:
        raise OutputError(f"disk: no room for {rows}")


class Unasked:
    """Workers that nobody may ask."""

    def run(self, *_: Any, **__: Any) -> None:
        raise AssertionError("trained though its result has no room")


def test_a_row_without_room_on_the_disk_is_refused_before_it_is_trained() -> None:
    context = NightContext(Crowded(), Unasked(), None, None, RowQueue({}), NOW)  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="no room for \\['its result'\\]"):
        make_row.fn("sketch", context)


def test_a_report_that_cannot_be_written_costs_the_report_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    def refuse(*_: Any) -> None:
        raise OutputError("reports: cannot be written (No space left on device)")

    monkeypatch.setattr("tasks.record.publish_report", refuse)
    night = SimpleNamespace(prompts="prompts.csv")
    plan: Any = SimpleNamespace(rows=(), families={}, params=SimpleNamespace(night=night))
    context = NightContext(plan, None, Heard(), StatusWriter("night", NOW, 0), RowQueue({}), NOW)  # type: ignore[arg-type]
    monkeypatch.setattr("tasks.record.workers_in_words", lambda _: "one worker")
    write_report.fn(context)
    assert context.report_path is None
    assert context.listener.lines == [  # type: ignore[attr-defined]
        "The report is not written: reports: cannot be written (No space left on device); nada report writes it"
    ]


class Unseen:
    """A plan that notices whoever walks through it; a server that is there already."""

    params_path = Path("params.yaml")
    walked = False
    owed: tuple[str, ...] = ()

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        Unseen.walked = True
        return {}

    @contextmanager
    def used(self) -> Iterator[None]:
        yield

    def owes(self, *told: str) -> None:
        Unseen.owed = told


def test_prefect_does_not_write_down_the_rows_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def opened(plan: Any, display: Any, pool: Any) -> Iterator[tuple[NightContext, Any]]:
        yield NightContext(plan, None, display, None, RowQueue({}), datetime(2026, 1, 1)), plan  # type: ignore[arg-type]

    written: list[dict[str, Any]] = []
    flow = flows.night.night

    def start(*arguments: Any) -> None:
        written.append(flow.serialize_parameters(dict(enumerate(arguments))))  # type: ignore[arg-type]

    monkeypatch.setattr(flows.night, "open_context", opened)
    monkeypatch.setattr(flows.night, "night", start)
    run_night(Unseen(), make_display(), None)  # type: ignore[arg-type]
    assert [parameters[0] for parameters in written] == ["params.yaml"]
    assert not Unseen.walked
    assert Unseen.owed == ("night 2026-01-01 00:00:00", "record in MLflow")  # to be written down before its server ends


class Done:
    """A task that ends at once, and what it returned."""

    def submit(self, domain: str, context: Any) -> Done:
        self.domain = domain
        return self

    def add_done_callback(self, hear: Callable[[Done], None]) -> None:
        hear(self)

    def result(self, raise_on_failure: bool) -> str:
        return self.domain


def test_a_pause_that_ends_between_two_looks_at_it_ends_no_night(monkeypatch: pytest.MonkeyPatch) -> None:
    row: Any = SimpleNamespace(domain="sketch", state="train")
    settings = SimpleNamespace(night=SimpleNamespace(prompts="prompts.csv"))
    plan: Any = SimpleNamespace(by_domain={"sketch": row}, is_part=True, params=settings)
    pool, told = SimpleNamespace(workers=["a worker"]), SimpleNamespace(paused=lambda _: None)
    context = NightContext(plan, pool, Heard(), told, RowQueue({"sketch": 1.0}), NOW)  # type: ignore[arg-type]
    looks = iter([True])
    changes: dict[str, Any] = {
        "is_paused": lambda: next(looks, False),  # whoever looks again finds that it is over
        "LOOK_SECONDS": 0.001,
        "current_records": lambda _: (),
        "together": lambda *_: [row],
        "make_row": Done(),
        "evaluate_row": Done(),
    }
    for name, changed in changes.items():
        monkeypatch.setattr(flows.night, name, changed)
    monkeypatch.setattr(context, "gather", lambda rows: None)
    assert list(flows.night.work_through(context)) == [(row, "sketch")]


class Retrieving:
    """Workers that tell where a row's pictures are, in its folder, or that they cannot."""

    def __init__(self, record: Record, failed: dict[str, str]) -> None:
        self.record, self.failed = record, failed

    def run(self, function: str, job: Any, **_: Any) -> dict[str, str]:
        assert (function, job) == (RETRIEVE_ROWS, [self.record.domain])
        if not self.failed:
            write_entry(HERE.adapted / self.record.domain / RETRIEVAL_NAME, self.record.retrieval)
        return self.failed


@pytest.mark.parametrize("failed", [{}, {"sketch": "damaged"}], ids=["told", "failed"])
def test_a_row_that_a_killed_night_left_without_its_retrieval_is_told_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    record = make_record("sketch")
    (HERE.adapted / "sketch").mkdir(parents=True)
    write_entry(HERE.adapted / "sketch" / MAKING_NAME, record.making)
    write_entry(HERE.adapted / "sketch" / EVALUATION_NAME, record.evaluation)
    plan: Any = SimpleNamespace(
        row_seconds=60.0,
        to_retrieve=[SimpleNamespace(domain="sketch")],
        rows=(),
        retrieve_job=lambda rows: [row.domain for row in rows],
    )
    context = NightContext(plan, Retrieving(record, failed), Heard(), None, RowQueue({}), NOW)  # type: ignore[arg-type]
    retrieve_rows.fn(context)
    assert context.records == ({} if failed else {"sketch": record})
    told = ["sketch: its pictures did not find their prompts anew (damaged); the next night tries again"]
    assert context.listener.lines == (told if failed else [])  # type: ignore[attr-defined]


@pytest.mark.parametrize("err", [InputError("prompts.csv:7: 'target' is empty"), ZeroDivisionError("odd")])
def test_a_night_that_nobody_started_by_hand_says_in_a_line_why_it_breaks_off(
    err: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    heard = Heard()
    with pytest.raises(type(err)), flows.night.told(heard):  # type: ignore[arg-type]
        raise err
    (line,) = heard.lines
    assert re.fullmatch(rf"\d\d:\d\d:\d\d the night broke off: .*{re.escape(str(err))}.*", line)
