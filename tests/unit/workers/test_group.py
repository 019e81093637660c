"""Rows of one pass, each waited for by a thread of its own; the pool is a script of what its worker tells."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from nada.errors import ImageError, WorkerError
from tasks.workers.group import RowGroup
from tasks.workers.news import Progress, RowEnded
from tasks.workers.pool import MAKE_ROWS, RowFailedError, WorkerDiedError

JOB: Any = SimpleNamespace(domains=["sketch", "robot"])
MAKING = Progress(domain="robot", step=1, total=2, loss=0.5, phase="make")
SKETCH = RowEnded(domain="sketch", result="the sketch's record")
ROBOT = RowEnded(domain="robot", result="the robot's record")


class Scripted:
    """A pool whose worker tells what it is told to, and then ends or dies; it waits until both threads are there."""

    def __init__(self, *news: Any, end: BaseException | None = None) -> None:
        self.news, self.end = news, end
        self.calls: list[tuple[Any, ...]] = []
        self.everybody_waits = threading.Event()

    def run(self, function: str, job: Any, hear: Callable[[Any], None], *, timeout_seconds: float, about: str) -> None:
        self.calls.append((function, job, timeout_seconds, about))
        assert self.everybody_waits.wait(60)
        for news in self.news:
            hear(news)
        if self.end is not None:
            raise self.end


def ends(pool: Scripted, heard: list[Any] | None = None) -> dict[str, Any]:
    """What each of two threads gets that ask for their rows at the same time: a result, or what was raised."""
    group = RowGroup(pool, JOB, 30.0, (heard if heard is not None else []).append)  # type: ignore[arg-type]

    found: dict[str, Any] = {}

    def ask(domain: str) -> None:
        try:
            found[domain] = group.result(domain)
        except BaseException as err:
            found[domain] = err

    threads = [threading.Thread(target=ask, args=(domain,), daemon=True) for domain in JOB.domains]
    for thread in threads:
        thread.start()
    pool.everybody_waits.set()
    for thread in threads:
        thread.join(60)
    assert set(found) == set(JOB.domains), "a thread waits for ever"
    return found


def test_two_threads_share_one_pass_and_each_gets_its_own_result() -> None:
    pool = Scripted(MAKING, ROBOT, SKETCH)
    heard: list[Any] = []
    assert ends(pool, heard) == {"sketch": SKETCH.result, "robot": ROBOT.result}
    assert pool.calls == [(MAKE_ROWS, JOB, 60.0, "sketch")]  # once, and with the time of both
    assert heard == [MAKING]


def test_a_thread_that_asks_after_the_pass_gets_its_result_all_the_same() -> None:
    pool = Scripted(ROBOT, SKETCH)
    pool.everybody_waits.set()
    group = RowGroup(pool, JOB, 30.0)  # type: ignore[arg-type]
    assert [group.result(domain) for domain in JOB.domains] == [SKETCH.result, ROBOT.result]
    assert len(pool.calls) == 1


def test_the_error_of_one_row_is_its_own() -> None:
    failed = RowEnded(domain="sketch", error=("ZeroDivisionError", "division by zero", "the traceback"))
    found = ends(Scripted(failed, ROBOT))
    assert found["robot"] == ROBOT.result
    assert isinstance(found["sketch"], RowFailedError)
    assert (str(found["sketch"]), found["sketch"].details) == ("ZeroDivisionError: division by zero", "the traceback")


def test_bad_input_of_one_row_keeps_its_kind() -> None:
    damaged = RowEnded(domain="robot", error=("ImageError", "a.png: damaged", ""))
    found = ends(Scripted(damaged, SKETCH))
    assert found["sketch"] == SKETCH.result
    assert isinstance(found["robot"], ImageError)


@pytest.mark.parametrize("ended", [SKETCH, ROBOT])
def test_a_worker_that_dies_loses_the_rows_that_had_not_ended_and_no_others(ended: RowEnded) -> None:
    died = WorkerDiedError("the worker process died (signal SIGKILL)")
    found = ends(Scripted(ended, end=died))
    assert found.pop(ended.domain) == ended.result
    assert list(found.values()) == [died]


def test_a_row_of_which_the_pass_never_told_is_lost() -> None:
    found = ends(Scripted(SKETCH))
    assert found["sketch"] == SKETCH.result
    assert isinstance(found["robot"], WorkerError)
    assert str(found["robot"]) == "the pass ended without a word of this row"


def test_a_thread_that_is_broken_off_leaves_nobody_waiting() -> None:
    found = ends(Scripted(end=KeyboardInterrupt()))
    assert {type(error) for error in found.values()} == {KeyboardInterrupt, WorkerError}
