"""Rows whose workers die, come late or cannot tell are tried in good company, and not lost where they are whole."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.context import LOADING_SECONDS, check_models
from nada.errors import CheckpointError, OutputError, WorkerError
from tasks.context import NightContext
from tasks.evaluate import evaluate_row, retrieve_rows
from tasks.make import make_row, worker_died
from tasks.plan.queue import RowQueue
from tasks.store.row_folder import read_making
from tasks.workers.idle import RowTimeoutError
from tasks.workers.news import Progress, RowEnded
from tasks.workers.pool import WorkerDiedError
from tests.rows import KEYS, publish_made, publish_whole

NOW = datetime(2026, 1, 1).astimezone()
DIED = "the worker process died (signal SIGKILL)"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str, style: str = "") -> None:
        self.lines.append(text)

    def again(self, domain: str, reason: str) -> None:
        self.lines.append(f"{domain} again: {reason}")


class Scripted:
    """Workers that do one thing after the other, and then die; what they were asked is kept."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.asked: list[Any] = []
        self.limits: list[float] = []

    def run(self, function: str, job: Any, hear: Any = None, *, timeout_seconds: float, about: str = "") -> Any:
        self.asked.append(job)
        self.limits.append(timeout_seconds)
        act = self.script.pop(0) if self.script else die
        return act(hear)


def die(hear: Any) -> None:
    raise WorkerDiedError(DIED)


def context_of(pool: Scripted, *domains: str) -> NightContext:
    by_domain = {name: SimpleNamespace(domain=name, keys=KEYS, checkpoint_of=None, retrieves=True) for name in domains}
    plan: Any = SimpleNamespace(
        by_domain=by_domain,
        rows=list(by_domain.values()),
        row_seconds=60.0,
        check_disk=lambda rows: None,
        group_job=lambda rows: SimpleNamespace(domains=[row.domain for row in rows]),
        evaluate_job=lambda planned: planned.domain,
        check_job=lambda: "every model",
        to_retrieve=[by_domain[name] for name in domains],
        retrieve_job=lambda rows: [row.domain for row in rows],
    )
    context = NightContext(plan, pool, Heard(), None, RowQueue({}), NOW)  # type: ignore[arg-type]
    context.gather([context.plan.by_domain[name] for name in domains])
    return context


def make(context: NightContext, domain: str, tries: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("tasks.make.runtime", SimpleNamespace(task_run=SimpleNamespace(run_count=tries)))
    return make_row.fn(domain, context)


def is_tried_again(error: Exception) -> bool:
    state: Any = SimpleNamespace(data=error)
    return worker_died(make_row, None, state)  # type: ignore[arg-type]


def test_rows_that_a_worker_lost_ride_together_again_and_then_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_ends(hear: Any) -> None:
        hear(RowEnded(domain="b", result="made"))
        die(hear)

    pool = Scripted(one_ends)
    context = context_of(pool, "a", "b", "c")
    tried: dict[tuple[str, int], bool] = {}
    for tries in (1, 2, 3):
        for domain in ("a", "c"):
            with pytest.raises(WorkerDiedError) as caught:
                make(context, domain, tries, monkeypatch)
            tried[domain, tries] = is_tried_again(caught.value)
    assert make(context, "b", 1, monkeypatch) == "made"
    assert [job.domains for job in pool.asked] == [["a", "b", "c"], ["a", "c"], ["a"], ["c"]]
    assert tried == {(domain, tries): tries < 3 for tries in (1, 2, 3) for domain in ("a", "c")}
    assert context.listener.lines == [f"{domain} again: {DIED}" for domain in ("a", "c")] * 2  # type: ignore[attr-defined]


def test_a_row_that_was_paused_rides_in_no_pass_from_before_its_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Scripted(die, die, lambda hear: hear(RowEnded(domain="a", result="made")))
    context = context_of(pool, "a")
    with pytest.raises(WorkerDiedError):
        make(context, "a", 1, monkeypatch)
    with pytest.raises(WorkerDiedError):
        make(context, "a", 2, monkeypatch)
    context.gather([context.plan.by_domain["a"]])
    pool.script = [die, lambda hear: hear(RowEnded(domain="a", result="made"))]
    with pytest.raises(WorkerDiedError):
        make(context, "a", 1, monkeypatch)
    assert make(context, "a", 2, monkeypatch) == "made"


def test_whoever_cannot_hear_of_a_row_costs_it_nothing() -> None:
    context = context_of(Scripted(), "a")

    def refuse(_: Any) -> None:
        raise KeyError("a")

    heard: list[Any] = []
    context.status_writer = SimpleNamespace(progress=refuse)  # type: ignore[assignment]
    context.listener.progress = heard.append  # type: ignore[method-assign]
    news = Progress(domain="a", step=0, total=1, loss=None, phase="load")
    context.progress(news)
    context.progress(news)
    assert heard == [news, news]
    assert context.listener.lines == ["a: not all of its news are shown (KeyError: 'a')"]  # type: ignore[attr-defined]


def test_a_row_of_its_own_is_tried_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Scripted()
    context = context_of(pool, "a")
    ends = []
    for tries in (1, 2):
        with pytest.raises(WorkerDiedError) as caught:
            make(context, "a", tries, monkeypatch)
        ends.append(is_tried_again(caught.value))
    assert ends == [True, False]


@pytest.mark.parametrize(
    "error", [WorkerDiedError(DIED), RowTimeoutError("no result within 60 s"), OutputError("full")]
)
def test_a_row_that_is_whole_on_disk_is_made_whatever_its_worker_said(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish_and_raise(hear: Any) -> None:
        publish_made("a")
        raise error

    context = context_of(Scripted(publish_and_raise), "a")
    assert make(context, "a", 1, monkeypatch) == read_making("a")
    assert context.listener.lines == []  # type: ignore[attr-defined]


def test_what_lies_there_of_other_inputs_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    publish_made("a", keys=type(KEYS)(making="9" * 64, evaluation="", retrieval=""))
    with pytest.raises(WorkerDiedError):
        make(context_of(Scripted(), "a"), "a", 1, monkeypatch)


def test_a_row_that_is_whole_on_disk_is_judged_whatever_its_worker_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def publish_and_die(hear: Any) -> None:
        publish_whole("a")
        die(hear)

    assert evaluate_row.fn("a", context_of(Scripted(publish_and_die), "a")).domain == "a"
    publish_made("b")
    monkeypatch.setattr("tasks.evaluate.runtime", SimpleNamespace(task_run=SimpleNamespace(run_count=1)))
    with pytest.raises(WorkerDiedError):
        evaluate_row.fn("b", context_of(Scripted(), "b"))


@pytest.mark.parametrize(
    "error", [CheckpointError("judge.safetensors: cannot be read"), WorkerError("hangs"), OSError("disk"), KeyError()]
)
def test_whatever_keeps_rows_from_their_prompts_the_night_goes_on(error: Exception) -> None:
    def refuse(hear: Any) -> None:
        raise error

    context = context_of(Scripted(refuse), "a", "b")
    retrieve_rows.fn(context)
    reason = str(error) or "KeyError"
    assert context.listener.lines == [  # type: ignore[attr-defined]
        f"{domain}: its pictures did not find their prompts anew ({reason}); the next night tries again"
        for domain in ("a", "b")
    ]


def late(hear: Any) -> None:
    raise RowTimeoutError("no result within 60 s; the worker was killed")


def test_models_have_a_limit_to_load_and_a_second_try() -> None:
    pool = Scripted(late, lambda hear: None)
    plan = context_of(pool).plan
    check_models(plan, pool)  # type: ignore[arg-type]
    assert pool.limits == [60.0, 60.0]
    plan.row_seconds = 1e9  # type: ignore[misc]
    check_models(plan, pool := Scripted(lambda hear: None))  # type: ignore[arg-type]
    assert pool.limits == [LOADING_SECONDS]
    with pytest.raises(WorkerError, match=r"^the models were not loaded within 1800 s, twice; try again$"):
        check_models(plan, Scripted(late, late))  # type: ignore[arg-type]
