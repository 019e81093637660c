"""Workers that wait for their next job, and the threads that wait for one of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from nada.errors import WorkerError
from tasks.workers.pool import WorkerDiedError

START_PAUSE_SECONDS = 5.0  # between two attempts to start a worker that could not be started
START_PATIENCE_SECONDS = 600.0  # after that rows are told; a machine that is short of memory may have some again
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


class Restarts:
    """When a worker that could not be started is started again, and when it is time to say so."""

    def __init__(self) -> None:
        self._failing_since: float | None = None
        self._next = 0.0

    @property
    def is_due(self) -> bool:
        """Whether to try now."""
        return time.monotonic() >= self._next

    def succeeded(self) -> None:
        """It runs."""
        self._failing_since = None

    def failed(self, reason: str) -> None:
        """It does not, and waits for its next attempt.

        Raises:
            WorkerDiedError: for so long that a row that waits for it should know; the next attempt comes all the same.
        """
        now = time.monotonic()
        self._failing_since = now if self._failing_since is None else self._failing_since
        self._next = now + START_PAUSE_SECONDS
        if now - self._failing_since >= START_PATIENCE_SECONDS:
            raise WorkerDiedError(f"no worker can be started ({reason})")


class IdleWorkers(Generic[W]):
    """The workers of a pool that have nothing to do.

    Args:
        workers: those that wait from the beginning.
        is_ready: whether one of them can take a job now; a WorkerDiedError says why it can not, and not soon. Called by
            one thread at a time, and by none once the pool has stopped.
    """

    def __init__(self, workers: list[W], is_ready: Callable[[W], bool]) -> None:
        self.waiting = list(workers)
        self.changing = threading.Condition()
        """Held while a worker changes hands or is replaced, and while the pool closes."""
        self.stopped = threading.Event()
        """Whether the pool is closed or closes; set while `changing` is held."""
        self._is_ready = is_ready
        self._num_at_work = 0

    def take(self, about: str = "", timeout_seconds: float = float("inf")) -> W:
        """Wait for a worker; of several the one whose last job was about the same, or which waited longest.

        Raises:
            WorkersStoppedError: the pool closes.
            RowTimeoutError: none was free in time.
            WorkerDiedError: none can be started, and none is at work that could be waited for.
        """
        deadline = time.monotonic() + timeout_seconds
        with self.changing:
            while True:
                check(self.stopped, deadline, f"no worker was free within {timeout_seconds:g} s")
                if ready := self._ready():
                    break
                self.changing.wait(POLL_SECONDS)
            worker = next((worker for worker in ready if about and worker.about == about), ready[0])
            self.waiting.remove(worker)
            self._num_at_work += 1
            worker.about = about
            return worker

    def give_back(self, worker: W) -> None:
        """Let others have it; whatever became of it, for one that does not run is started when it is needed."""
        with self.changing:
            self._num_at_work -= 1
            self.waiting.append(worker)
            self.changing.notify()

    def _ready(self) -> list[W]:
        ready, lost = [], None
        for worker in self.waiting:
            try:
                if self._is_ready(worker):
                    ready.append(worker)
            except WorkerDiedError as err:
                lost = err
        if lost is not None and not ready and not self._num_at_work:
            raise lost
        return ready


def check(stopped: threading.Event, deadline: float = float("inf"), too_late: str = "") -> None:
    """Go on only while the pool does, and in time.

    Raises:
        WorkersStoppedError, RowTimeoutError: see there.
    """
    if stopped.is_set():
        raise WorkersStoppedError("the workers were stopped")
    if time.monotonic() > deadline:
        raise RowTimeoutError(too_late)
