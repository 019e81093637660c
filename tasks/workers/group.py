"""Rows that are made in one pass of one worker, each of them waited for by a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from nada.errors import WorkerError
from tasks.row.job import GroupJob
from tasks.workers.news import RowEnded
from tasks.workers.pool import MAKE_ROWS, Pool, WorkerDiedError, rebuilt_error


class RowGroup:
    """One pass. The first thread that asks for a row drives it; the others wait for theirs.

    Args:
        pool: runs it.
        job: its rows.
        timeout_seconds: for each row; the pass may take as long as all of them.
        on_news: hears of running rows.
    """

    def __init__(
        self, pool: Pool, job: GroupJob, timeout_seconds: float, on_news: Callable[[Any], None] = lambda _: None
    ) -> None:
        self._pool, self._job, self._timeout, self._on_news = pool, job, timeout_seconds, on_news
        self._ends: dict[str, Future[Any]] = {domain: Future() for domain in job.domains}
        self._lock = threading.Lock()
        self._started = False
        self.lost: tuple[str, ...] = ()
        """Rows that had not ended when their worker died; known before any thread hears of it."""

    @property
    def is_shared(self) -> bool:
        """Whether it is of several rows."""
        return len(self._ends) > 1

    def result(self, domain: str) -> Any:
        """A row's record.

        Raises:
            WorkerDiedError, RowTimeoutError, RowFailedError, WorkersStoppedError: see there; only of rows that had not
                ended before.
            InputError: the row raised one of these.
        """
        with self._lock:
            drives, self._started = not self._started, True
        if drives:
            self._drive()
        return self._ends[domain].result()

    def _drive(self) -> None:
        lost: Exception = WorkerError("the pass ended without a word of this row")
        try:
            limit = self._timeout * len(self._ends)
            self._pool.run(MAKE_ROWS, self._job, self._hear, timeout_seconds=limit, about=self._job.domains[0])
        except Exception as err:
            lost = err
        finally:  # also when this thread is broken off: the others must not wait for ever
            if isinstance(lost, WorkerDiedError):
                self.lost = tuple(domain for domain, end in self._ends.items() if not end.done())
            for end in self._ends.values():
                if not end.done():
                    end.set_exception(lost)

    def _hear(self, news: Any) -> None:
        if not isinstance(news, RowEnded):
            self._on_news(news)
        elif news.error is None:
            self._ends[news.domain].set_result(news.result)
        else:
            self._ends[news.domain].set_exception(rebuilt_error(*news.error))
