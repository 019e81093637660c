"""Workers that wait for their next job, and the threads that wait for one of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from nada.errors import WorkerError

POLL_SECONDS = 0.2  # how soon a pool that closes is noticed


class RowTimeoutError(WorkerError):
    """The row took longer than its limit; its process was killed."""


class WorkersStoppedError(WorkerError):
    """The pool was closed while the row ran or waited."""


class HasSubject(Protocol):
    """A worker, as far as it is chosen."""

    about: str
    """What its last job was about."""


W = TypeVar("W", bound=HasSubject)


class IdleWorkers(Generic[W]):
    """The workers of a pool that have nothing to do.

    Args:
        workers: those that wait from the beginning.
        is_ready: whether one of them can take a job now; it may take one that never can out of `waiting`. Called by one
            thread at a time, and by none once the pool has stopped.
    """

    def __init__(self, workers: list[W], is_ready: Callable[[W], bool]) -> None:
        self.waiting = list(workers)
        self.changing = threading.Condition()
        """Held while a worker changes hands or is replaced, and while the pool closes."""
        self.stopped = threading.Event()
        """Whether the pool is closed or closes; set while `changing` is held."""
        self._is_ready = is_ready

    def take(self, about: str = "", timeout_seconds: float = float("inf")) -> W:
        """Wait for a worker; of several the one whose last job was about the same, or which waited longest.

        Raises:
            WorkersStoppedError: the pool closes.
            RowTimeoutError: none was free in time.
        """
        deadline = time.monotonic() + timeout_seconds
        with self.changing:
            while True:
                check(self.stopped, deadline, f"no worker was free within {timeout_seconds:g} s")
                if ready := [worker for worker in list(self.waiting) if self._is_ready(worker)]:
                    break
                self.changing.wait(POLL_SECONDS)
            worker = next((worker for worker in ready if about and worker.about == about), ready[0])
            self.waiting.remove(worker)
            worker.about = about
            return worker

    def give_back(self, worker: W) -> None:
        """Let others have it."""
        with self.changing:
            self.waiting.append(worker)
            self.changing.notify()


def check(stopped: threading.Event, deadline: float = float("inf"), too_late: str = "") -> None:
    """Go on only while the pool does, and in time.

    Raises:
        WorkersStoppedError, RowTimeoutError: see there.
    """
    if stopped.is_set():
        raise WorkersStoppedError("the workers were stopped")
    if time.monotonic() > deadline:
        raise RowTimeoutError(too_late)
