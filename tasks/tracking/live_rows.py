"""What rows show of themselves while they are made, until MLflow has been told of it.

Workers' news come on many threads and cost them nothing; one thread tells the store, now and then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.plan.planned_row import PlannedRow
from tasks.tracking.mlflow_client import now_ms
from tasks.tracking.mlflow_store import NightRun
from tasks.tracking.row_runs import BegunRun, begin_row, show_row
from tasks.workers.news import Progress

TELL_SECONDS = 5.0  # between two times, at least
SHARE = 0.005  # of one core, at most: where telling costs more the store hears more seldom
MOST_LOSSES = 1000  # kept for a store that does not answer; the curve is whole in the end anyway
MOST_PICTURES = 20  # of a row in the store


@dataclass
class LiveRow:
    """One of them."""

    planned: PlannedRow
    run: BegunRun | None = None
    losses: list[tuple[int, float, int]] = field(default_factory=list)
    """Step, loss, milliseconds since 1970."""
    picture: tuple[int, bytes] | None = None
    pictured: int = -1
    """Steps behind the picture that the store has."""


class LiveRows:
    """The rows in the making.

    Args:
        planned: the night's row of a domain; rows that join it later have one as well.
    """

    def __init__(self, planned: Callable[[str], PlannedRow]) -> None:
        self._planned = planned
        self._rows: dict[str, LiveRow] = {}
        self._lock = threading.Lock()
        self._due = 0.0

    def hear(self, progress: Progress) -> None:
        """News of a running row; called from many threads. A row begins with its first step."""
        if progress.phase not in ("make", "save") or progress.step < 1:
            return
        with self._lock:
            row = self._rows.get(progress.domain)
            if row is None:
                row = self._rows[progress.domain] = LiveRow(self._planned(progress.domain))
            if progress.loss is not None and len(row.losses) < MOST_LOSSES:
                row.losses.append((progress.step, progress.loss, now_ms()))
            if progress.picture is not None:
                apart = progress.total / MOST_PICTURES
                if row.pictured < 0 or progress.phase == "save" or progress.pictured_step >= row.pictured + apart:
                    row.picture = progress.pictured_step, progress.picture

    def ended(self, domain: str) -> None:
        """Nothing more is told of a row as it runs: it is finished, or lost."""
        with self._lock:
            self._rows.pop(domain, None)

    @property
    def run_ids(self) -> list[str]:
        """Of the rows that run now and that the store knows."""
        with self._lock:
            return [row.run.run_id for row in self._rows.values() if row.run is not None]

    def tell(self, night: NightRun) -> None:
        """Let the store know what is new, if it is time; called by one thread.

        Raises:
            StoreError: it refuses; what it was not told of waits.
        """
        now, spent = time.monotonic(), time.thread_time()
        if now < self._due:
            return
        try:
            with self._lock:
                rows = list(self._rows.values())
            for row in rows:
                self._tell(night, row)
        finally:
            self._due = now + max(TELL_SECONDS, (time.thread_time() - spent) / SHARE)

    def _tell(self, night: NightRun, row: LiveRow) -> None:
        if row.run is None:
            row.run = begin_row(night, row.planned)
        losses, picture = list(row.losses), row.picture
        new = {loss[0]: loss for loss in losses if loss[0] not in row.run.steps}
        if new or picture is not None:
            show_row(night, row.run.run_id, list(new.values()), picture)
        row.run = BegunRun(row.run.run_id, row.run.steps | set(new))
        with self._lock:
            del row.losses[: len(losses)]
            if picture is not None:
                row.pictured = picture[0]
                row.picture = None if row.picture is picture else row.picture
