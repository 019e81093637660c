"""The running night: what its tasks work on, and what came of it so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

from tasks.live import saved
from tasks.live.alike import Alike
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.plan.queue import RowQueue
from tasks.report.page import Failure
from tasks.status.run_logs import RunLogs
from tasks.status.writer import StatusWriter
from tasks.store.record import Record
from tasks.tracking import mlflow_store
from tasks.tracking.live_rows import LiveRows
from tasks.tracking.outbox import Outbox
from tasks.variants.told import Told, tell
from tasks.workers.group import RowGroup
from tasks.workers.news import Progress
from tasks.workers.pool import Pool

TRIES_TOGETHER = 2  # of the rows of a pass


class Listener(Protocol):
    """Whoever shows a night to a person."""

    def say(self, message: str, style: str = "") -> None:
        """One line."""

    def progress(self, progress: Progress) -> None:
        """News of a running row; called from many threads."""

    def finished(self, record: Record) -> None:
        """A row is there."""

    def failed(self, domain: str, reason: str) -> None:
        """A row was lost."""

    def again(self, domain: str, reason: str) -> None:
        """A row is tried a second time."""


class NightContext:
    """Everything that a running night holds: its plan, its workers, its listener, and what came of it so far.

    No dataclass: Prefect walks through those among a task's arguments, in the task's thread, while we write to them.
    """

    def __init__(
        self,
        plan: Plan,
        pool: Pool,
        listener: Listener,
        status_writer: StatusWriter,
        waiting: RowQueue,
        started: datetime,
    ) -> None:
        self.plan = plan
        self.pool = pool
        self.listener = listener
        self.status_writer = status_writer
        self.waiting = waiting
        self.started = started
        self.records: dict[str, Record] = {}
        self.failures: list[Failure] = []
        self.trained: list[str] = []
        self.judged: list[str] = []
        """Domains whose scores are new, though they were made before."""
        self.report_path: Path | None = None
        self.closed = False
        """Whether everything is done, recorded and reported."""
        self.prefect_lost = False
        """Whether Prefect's server was gone at the end; waiting for it at exit would take minutes and help nobody."""
        self.logs = RunLogs()
        self.held: list[str] = []
        """Rows that are not tried, because rows like them failed alike."""
        self.stopped = ""
        """Why they are not, in a line."""
        self._groups: dict[tuple[str, int], RowGroup] = {}
        self._unheard_kinds: set[str] = set()
        self._grouping = threading.Lock()

    @property
    def name(self) -> str:
        """The night's name, unique to the second."""
        return night_name(self.started)

    @property
    def told(self) -> Told:
        """What readers are told: one record a domain, and how its variants compare."""
        return tell(self.plan, self.records)

    @property
    def reasons(self) -> dict[str, str]:
        """Domain -> why it was lost."""
        return {failure.domain: failure.reason for failure in self.failures}

    @cached_property
    def outbox(self) -> Outbox:
        """What goes to MLflow; the night's run there is opened by the first entry."""
        rows = [planned.row for planned in self.plan.rows]
        opens = partial(mlflow_store.start_night, self.plan.params, rows, self.name, started=self.started)
        return Outbox(opens, self.live_rows.tell)

    @cached_property
    def live_rows(self) -> LiveRows:
        """What goes to MLflow while rows are made."""
        return LiveRows(lambda domain: self.plan.by_domain[domain])  # of the plan of then: rows may join

    @cached_property
    def alike(self) -> Alike:
        """Failures that say the same."""
        return Alike(self.plan.params.night.stop_after_alike)

    @property
    def seconds(self) -> float:
        """Since the night began."""
        return time.time() - self.started.timestamp()

    @property
    def row_seconds(self) -> float:
        """A row may take."""
        return self.plan.row_seconds

    def progress(self, progress: Any) -> None:
        """News of a running row; called from many threads. Whoever cannot hear them costs the row nothing."""
        for hear in (self.status_writer.progress, self.listener.progress, self.live_rows.hear, self.logs.hear):
            try:
                hear(progress)
            except Exception as err:  # of whatever kind: it would end the worker that tells of its row
                self._unheard(progress, err)

    def _unheard(self, progress: Any, error: Exception) -> None:
        """Say once of what kind an error of a listener is."""
        if (kind := type(error).__name__) not in self._unheard_kinds:
            self._unheard_kinds.add(kind)
            with suppress(Exception):
                self.listener.say(f"{progress.domain}: not all of its news are shown ({kind}: {error})", "yellow")

    def gather(self, rows: Sequence[PlannedRow]) -> None:
        """Let these rows be made in one pass; passes that they rode in before, until a pause, are over."""
        taken = {planned.domain for planned in rows}
        with self._grouping:
            self._groups = {place: group for place, group in self._groups.items() if place[0] not in taken}
            self._gather(rows, tries=1)

    def group_of(self, domain: str, tries: int) -> RowGroup:
        """The pass that a row rides in when it is tried so often.

        The rows that a worker lost ride together again, so that they go on from the state that they left together;
        should that one die too, each alone and from its start, for one of them may be what kills it.
        """
        with self._grouping:
            if (domain, tries) not in self._groups:
                lost = self._groups[domain, tries - 1].lost if tries <= TRIES_TOGETHER else ()
                if tries > TRIES_TOGETHER:
                    saved.forget(domain)
                self._gather([self.plan.by_domain[name] for name in lost or (domain,)], tries)
            return self._groups[domain, tries]

    def _gather(self, rows: Sequence[PlannedRow], tries: int) -> None:
        group = RowGroup(self.pool, self.plan.group_job(rows), self.row_seconds, self.progress)
        self._groups |= {(planned.domain, tries): group for planned in rows}


def night_name(started: datetime) -> str:
    """A night's name, unique to the second."""
    return f"night {started:%Y-%m-%d %H:%M:%S}"
