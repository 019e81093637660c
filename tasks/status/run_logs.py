"""What workers tell of rows, in the logs of their runs in Prefect's pages."""

from __future__ import annotations

import logging
import threading
from typing import Any

from prefect import get_run_logger
from prefect.exceptions import MissingContextError

from tasks.status.speed import Rates
from tasks.status.wording import describe
from tasks.workers.news import Progress

SHARES = 10  # a log gets a line at each tenth of a row


class RunLogs:
    """The loggers of the rows that run. Called from many threads: a worker tells of all rows of its pass to one."""

    def __init__(self) -> None:
        self._loggers: dict[str, Any] = {}
        self._said: dict[str, tuple[str, int]] = {}
        self._rates = Rates()
        self._lock = threading.Lock()

    def open(self, domain: str) -> None:
        """From now on what is told of a row is in the log of the run that this is called in, if it is one."""
        try:
            logger: Any = get_run_logger()
        except MissingContextError:
            return
        with self._lock:
            self._loggers[domain] = logger
            self._said.pop(domain, None)

    def hear(self, progress: Progress) -> None:
        """News of a row: whatever is worth a line, and where it is, now and then."""
        with self._lock:
            logger, rate = self._loggers.get(progress.domain), self._rates.rate(progress)
            share = progress.phase, progress.step * SHARES // max(1, progress.total)
            if logger is None or (not progress.note and self._said.get(progress.domain) == share):
                return
            self._said[progress.domain] = share
        if progress.note:
            logger.warning(progress.note)
        else:
            logger.info(describe(progress, rate))

    def say(self, domain: str, text: str, level: int = logging.ERROR) -> None:
        """A line, or several, of a row."""
        if text and (logger := self._loggers.get(domain)) is not None:
            logger.log(level, text)
