"""Failures that say the same: after a few of them, rows made likewise are not tried again and again.

Rows are of one kind if their method, recipe and generator are. When so many rows in a row failed with one message, and
none ended well between them, rows of the kinds that did so are held back for the next run; from then on a further kind
needs to fail so only once. Others go on: a recipe that overflows must not cost the rows of the other recipes. Workers
that died, and rows that took too long, say nothing of the rows to come.
"""

from __future__ import annotations

import re

from tasks.plan.planned_row import PlannedRow
from tasks.workers.idle import RowTimeoutError, WorkersStoppedError
from tasks.workers.pool import WorkerDiedError

ACCIDENTS = (WorkerDiedError, RowTimeoutError, WorkersStoppedError)
NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")

Kind = tuple[str, str, str]


class Alike:
    """What failed lately.

    Args:
        most: rows in a row; 0 for never.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._message = ""
        self._failed: list[PlannedRow] = []
        self._known: set[str] = set()
        """Messages by which rows were held back already."""

    def succeeded(self) -> None:
        """A row ended well."""
        self._failed = []

    def failed(self, planned: PlannedRow, error: Exception) -> set[Kind]:
        """A row failed of itself; the kinds of rows that are to be held back now, none for the most part."""
        if not self.most or isinstance(error, ACCIDENTS):
            return set()
        message = of_any_row(str(error), planned.domain)
        if message in self._known:
            return {kind_of(planned)}
        if message != self._message:
            self._message, self._failed = message, []
        self._failed.append(planned)
        if len(self._failed) < self.most:
            return set()
        self._known.add(message)
        return {kind_of(failed) for failed in self._failed}


def kind_of(planned: PlannedRow) -> Kind:
    """What rows have in common that fail in common."""
    return planned.method, planned.row.recipe, planned.source.base_sha256


def of_any_row(message: str, name: str) -> str:
    """A message without what is a row's own: its name, and numbers such as a step.

    >>> of_any_row("sketch: step 12: the loss is nan", "sketch") == of_any_row("neon: step 3: the loss is nan", "neon")
    True
    """
    own = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return NUMBER.sub("#", own.sub("*", message))
