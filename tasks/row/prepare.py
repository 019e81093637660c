"""What a method computes once for a generator and a guide, before the rows that need it; runs where a row is made."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nada.methods.base import Preparing
from tasks.row.job import RowJob
from tasks.row.models import WarmModels, warm_models
from tasks.workers.news import Progress

PREPARE = "tasks.row.prepare:prepare_row"
FIRST_NOTE_SECONDS = 30.0  # of lines of a log; each later one comes after twice the time of the one before
NEWS_SECONDS = 0.3


def prepare_row(job: RowJob, tell: Callable[[Any], None]) -> None:
    """`prepare` as a job of its own: nothing else of the row is done."""
    tell(Progress(domain=job.domain, step=0, total=1, loss=None, phase="load"))
    prepare(job, warm_models(job), tell)


def prepare(row: RowJob, warm: WarmModels, tell: Callable[[Any], None]) -> None:
    """Compute what is missing for a row, and tell how far it is and how long it takes.

    Raises:
        NadaError: it cannot be computed, or not be written.
    """
    if not row.prepared:
        return
    clock, started = Clock(), time.monotonic()
    told, next_note = float("-inf"), 0.0
    for news in row.method_object.prepare(row.config, warm.models, row.assignment.prepared):
        now = time.monotonic()
        is_noted = now - started >= next_note or news.done == news.total
        if is_noted:
            next_note = max(FIRST_NOTE_SECONDS, 2 * (now - started))
        if is_noted or now - told >= NEWS_SECONDS:
            told, note = now, clock.in_words(news) if is_noted else ""
            tell(Progress(domain=row.domain, step=news.done, total=news.total, loss=None, phase="prepare", note=note))


@dataclass
class Clock:
    """How long a computation still takes, by what it did since it was first heard of."""

    now: Callable[[], float] = time.monotonic
    _first: tuple[float, int] | None = field(default=None, init=False)

    def in_words(self, news: Preparing) -> str:
        """How far it is, and about how long the rest takes.

        >>> times = iter([0.0, 60.0])
        >>> clock = Clock(lambda: next(times))
        >>> clock.in_words(Preparing(done=1000, total=5000))
        'prepares: 1000 of 5000 pictures'
        >>> clock.in_words(Preparing(done=3000, total=5000))
        'prepares: 3000 of 5000 pictures, about 1 min to go'
        """
        now = self.now()
        since, first = self._first = self._first or (now, news.done)
        words = f"prepares: {news.done} of {news.total} pictures"
        if news.done in (first, news.total):
            return words
        left = (news.total - news.done) * (now - since) / (news.done - first)
        return f"{words}, about {max(1, round(left / 60))} min to go"
