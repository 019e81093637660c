"""Keeps the status of a running night: hears of every event, foresees the end, writes at most once a second, and less
often where that takes long.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from nada.errors import OutputError
from tasks.plan.queue import RowQueue, forecast
from tasks.report.triage import triage
from tasks.report.wording import scores_in_words
from tasks.status import live_page
from tasks.status.speed import Rates
from tasks.status.status_file import RunningRow, State, Status, save_status
from tasks.store.record import Record
from tasks.workers.news import Progress

WRITE_SECONDS = 1.0
LIGHT_SECONDS = 0.05  # that one takes; where it takes longer, as with a hundred thousand rows, it comes as much later
MOST_SECONDS = 30.0  # however slow a disk was once


class StatusWriter:
    """The status of one night. Called from many threads; a disk that cannot be written costs the status alone."""

    def __init__(
        self,
        name: str,
        started: datetime,
        num_rows: int,
        deadline: datetime | None = None,
        takes_from: str | None = None,
    ) -> None:
        self.status = Status(
            name=name,
            pid=os.getpid(),
            started=_iso(started),
            num_rows=num_rows,
            deadline=None if deadline is None else _iso(deadline),
            takes_from=takes_from,
        )
        self._waiting = RowQueue({})
        self._workers = 1
        self._rates = Rates()
        self._since: dict[str, float] = {}
        self._pictured: dict[str, int] = {}
        self._lock = threading.Lock()
        self._next = 0.0
        live_page.begin()
        self._write()

    def running(self, waiting: RowQueue, workers: int, current: int) -> None:
        """The models are loaded; rows are handed out from now on."""
        with self._lock:
            self._waiting, self._workers = waiting, max(1, workers)  # where nothing is left to train there are none
            self.status.state, self.status.current = "running", current
            self._write()

    def progress(self, progress: Progress) -> None:
        """News of a running row."""
        if progress.picture is not None and live_page.show(progress.domain, progress.picture):
            self._pictured[progress.domain] = progress.pictured_step
        with self._lock:
            rate = self._rates.rate(progress)
            began = self._since.setdefault(progress.domain, time.time())
            row = RunningRow(
                domain=progress.domain,
                phase=progress.phase,
                step=progress.step,
                total=progress.total,
                loss=progress.loss,
                steps_per_second=rate,
                started=_iso(datetime.fromtimestamp(began)),
                left_seconds=self._left_seconds(progress, rate, began),
                pictured_step=self._pictured.get(progress.domain),
            )
            others = [other for other in self.status.running if other.domain != progress.domain]
            self.status.running = sorted([*others, row], key=lambda row: row.started)
            self._write_now_and_then()

    def finished(self, record: Record) -> None:
        """A row was published."""
        with self._lock:
            self._ended(record.domain)
            self.status.done[record.domain] = scores_in_words(record)
            self.status.verdicts[record.domain] = triage(record).kind
            live_page.forget_earlier(self.status.done)
            self._write_now_and_then()

    def failed(self, domain: str, reason: str) -> None:
        """A row was lost."""
        with self._lock:
            self._ended(domain)
            self.status.failed[domain] = reason
            self._write_now_and_then()

    def paused(self, is_paused: bool) -> None:
        """Nothing new begins, or the night goes on."""
        with self._lock:
            if is_paused != self.status.paused:
                self.status.paused = is_paused
                self._write()

    def added(self, rows: Sequence[str], num_current: int) -> None:
        """Rows joined the night; some of them may be finished already."""
        with self._lock:
            self.status.added += rows
            self.status.num_rows += len(rows)
            self.status.current += num_current
            self._write()

    def held(self, rows: Sequence[str], why: str) -> None:
        """Rows will not be tried in this night."""
        with self._lock:
            self.status.held += rows
            self.status.stopped = why
            self._write()

    def made_way(self, domain: str) -> None:
        """A row saved its state, and waits again."""
        with self._lock:
            self._ended(domain)
            self._write()

    def state(self, state: State, problem: str | None = None, report: str | None = None) -> None:
        """The night goes on to its report, or ends."""
        with self._lock:
            self.status.state = state
            self.status.problem = problem
            self.status.report = report or self.status.report
            if state != "running":
                self.status.running, self.status.paused = [], False
            self._write()

    def not_recorded(self) -> None:
        """MLflow refused to the last; written with the night's end."""
        self.status.unrecorded = True

    def _ended(self, domain: str) -> None:
        self.status.running = [row for row in self.status.running if row.domain != domain]
        self._since.pop(domain, None)

    def _left_seconds(self, progress: Progress, rate: float | None, began: float) -> float:
        if rate:
            return (progress.total - progress.step) / rate
        return max(0.0, self._waiting.seconds(progress.domain) - (time.time() - began))

    def _write_now_and_then(self) -> None:
        if time.monotonic() >= self._next:
            self._write()

    def _write(self) -> None:
        began = time.monotonic()
        now, status = datetime.now().astimezone(), self.status
        status.updated = _iso(now)
        waits = list(self._waiting.domains)
        status.waiting, status.left = ([], waits) if status.state in ("reporting", "finished") else (waits, [])
        if status.state == "running":
            elapsed = (now - datetime.fromisoformat(status.started)).total_seconds()
            busy = [elapsed + row.left_seconds for row in status.running[: self._workers]]
            night = forecast(self._waiting, busy + [elapsed] * (self._workers - len(busy)))
            status.expected_end = _iso(now + timedelta(seconds=night.seconds - elapsed))
            status.left = list(night.left)
        with suppress(OutputError):
            save_status(status)
            live_page.tell(status)
        written = time.monotonic()
        self._next = written + min(MOST_SECONDS, WRITE_SECONDS * max(1.0, (written - began) / LIGHT_SECONDS))


def _iso(moment: datetime) -> str:
    return moment.astimezone().isoformat(timespec="seconds")
