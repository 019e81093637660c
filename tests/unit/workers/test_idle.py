"""Which of the idle workers takes a job, and how long a thread waits for one."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from tasks.workers.idle import IdleWorkers, RowTimeoutError, WorkersStoppedError
from tasks.workers.pool import WorkerDiedError


@dataclass
class Worker:
    name: str
    about: str = ""
    is_ready: bool = True


def idle_workers(*workers: Worker) -> IdleWorkers[Worker]:
    return IdleWorkers(list(workers), lambda worker: worker.is_ready)


def test_the_worker_whose_last_job_was_about_the_same_is_preferred() -> None:
    idle = idle_workers(Worker("a"), Worker("b"))
    first = idle.take("sketch")
    second = idle.take("robot")
    idle.give_back(second)
    idle.give_back(first)
    assert idle.take("sketch").name == first.name == "a"


def test_a_job_that_is_about_nothing_takes_the_one_that_waited_longest() -> None:
    idle = idle_workers(Worker("a"), Worker("b"))
    idle.give_back(idle.take())
    assert [idle.take().name, idle.take().name] == ["b", "a"]


def test_a_worker_that_is_not_ready_is_passed_over() -> None:
    assert idle_workers(Worker("a", is_ready=False), Worker("b")).take().name == "b"


def test_a_thread_waits_until_a_worker_is_given_back() -> None:
    idle = idle_workers(Worker("a"))
    worker = idle.take()
    threading.Timer(0.05, idle.give_back, [worker]).start()
    assert idle.take(timeout_seconds=60.0) is worker


def test_nobody_waits_longer_than_the_limit() -> None:
    with pytest.raises(RowTimeoutError, match=r"^no worker was free within 0 s$"):
        idle_workers().take(timeout_seconds=0.0)


def test_a_pool_that_closes_gives_no_worker_away_and_asks_none() -> None:
    idle = IdleWorkers([Worker("a")], lambda _: pytest.fail("it may be gone"))
    idle.stopped.set()
    with pytest.raises(WorkersStoppedError, match=r"^the workers were stopped$"):
        idle.take()


def test_a_worker_that_is_at_work_is_waited_for_though_the_others_cannot_be_started() -> None:
    def is_ready(worker: Worker) -> bool:
        if not worker.is_ready:
            raise WorkerDiedError("no worker can be started (no memory)")
        return True

    idle = IdleWorkers([Worker("a"), Worker("b", is_ready=False)], is_ready)
    first = idle.take()
    threading.Timer(0.05, idle.give_back, [first]).start()
    assert idle.take(timeout_seconds=60.0) is first
    idle.give_back(first)
    first.is_ready = False
    with pytest.raises(WorkerDiedError, match=r"^no worker can be started \(no memory\)$"):
        idle.take()
