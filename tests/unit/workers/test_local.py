"""Processes that cannot be started: their place is kept, and taken again as soon as the system lets them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tasks.workers import idle, local
from tasks.workers.local import WorkerPool
from tasks.workers.news import Progress
from tasks.workers.pool import WorkerDiedError, WorkerSpec

SPEC = WorkerSpec(device="cpu", threads=1)
ANSWERING = """
import sys
from multiprocessing.connection import Connection

pipe = Connection(int(sys.argv[1]))
while pipe.recv_bytes():
    pipe.send(("done", "an answer"))
"""


@dataclass(frozen=True)
class Job:
    device: str = ""
    threads: int = 0


class Machine:
    """Starts processes that answer, but for those that it has no room for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refusals = 0.0
        self.asked = 0
        self._start = subprocess.Popen
        monkeypatch.setattr(local.subprocess, "Popen", self.start)

    def start(self, command: list[str], **options: Any) -> Any:
        self.asked += 1
        if self.refusals > 0:
            self.refusals -= 1
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return self._start([sys.executable, "-c", ANSWERING, command[4]], **options)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(idle, "START_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(idle, "POLL_SECONDS", 0.001)
    return Machine(monkeypatch)


@pytest.fixture
def pool(machine: Machine) -> Iterator[WorkerPool]:
    with WorkerPool([SPEC]) as pool:
        yield pool


def run(pool: WorkerPool) -> Any:
    return pool.run("module:function", Job(), timeout_seconds=60.0)


def lose(pool: WorkerPool) -> None:
    """Kill the worker in the middle of a job."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool.workers[0].pipe, "send", lambda request: pool.workers[0].kill())
        with pytest.raises(WorkerDiedError):
            run(pool)


def test_a_worker_whose_restart_fails_returns_to_the_pool(pool: WorkerPool, machine: Machine) -> None:
    machine.refusals = 2
    lose(pool)
    assert run(pool) == "an answer"
    assert machine.asked == 4  # at the beginning, twice in vain, and well


def test_a_night_begins_with_workers_that_can_only_be_started_later(machine: Machine) -> None:
    machine.refusals = 3
    with WorkerPool([SPEC]) as pool:
        assert run(pool) == "an answer"


def test_one_that_died_with_nothing_to_do_and_is_not_started_at_once_costs_no_row(
    pool: WorkerPool, machine: Machine
) -> None:
    pool.workers[0].kill()
    machine.refusals = 5
    assert run(pool) == "an answer"


def test_rows_are_told_when_no_worker_can_be_started_and_the_next_one_has_its_chance(
    pool: WorkerPool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "START_PATIENCE_SECONDS", 0.0)
    machine.refusals = float("inf")
    lose(pool)
    for _ in range(2):
        with pytest.raises(WorkerDiedError) as caught:
            run(pool)
        assert str(caught.value) == "no worker can be started (Resource temporarily unavailable)"
    machine.refusals = 0
    assert run(pool) == "an answer"


def test_nothing_is_left_open_of_a_start_that_fails(pool: WorkerPool, machine: Machine) -> None:
    machine.refusals = 1
    lose(pool)
    assert not pool.workers[0].is_alive
    assert pool.workers[0].pipe.closed
    assert pool.workers[0]._log.closed


class Pipe:
    """A worker that says all this."""

    def __init__(self, *messages: Any) -> None:
        self.messages = list(messages)

    def send(self, request: Any) -> None:
        pass

    def recv(self) -> Any:
        return self.messages.pop(0)


def test_the_limit_of_a_row_begins_once_what_it_shares_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    begun: list[int] = []
    monkeypatch.setattr(local.Limit, "begin", lambda limit: begun.append(len(heard)))
    phases = ("load", "prepare", "prepare", "make", "save")
    news = (Progress(domain="hair", step=1, total=9, loss=None, phase=phase) for phase in phases)
    worker = local.Worker(SPEC)
    worker.pipe = Pipe(*(("progress", one) for one in news), ("done", "an answer"))  # type: ignore[assignment]
    assert worker.converse("a job", lambda one: heard.append(one.phase), 60.0) == ("done", "an answer")
    assert begun == [0, 1, 2]  # with the job, and with each word of the preparation


def test_a_limit_that_began_again_ends_once() -> None:
    ended = threading.Event()
    limit = local.Limit(0.01, ended.set)
    limit.begin()
    limit.begin()
    assert ended.wait(60) and limit.is_over.is_set()
    limit.cancel()
