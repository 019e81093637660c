"""Which finished rows were found whole before, so that a plan need not hash every file of every row again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.config.project import HERE
from tasks.store import row_folder
from tasks.store.stat_cache import Files, StatCache


class WholeRows:
    """Finished rows, hashed at most once while nobody touches their folders."""

    def __init__(self) -> None:
        self._cache = StatCache(HERE.known_rows, revived=bool)
        self._asked: list[str] = []

    def is_finished(self, domain: str, key: str) -> bool:
        """As `row_folder.is_finished`; a row that is known is not read."""
        self._asked.append(domain)
        return self._cache.find(domain, key, lambda: _files(domain), lambda: row_folder.is_finished(domain, key))

    def keep(self) -> None:
        """Know the rows that were asked about the next time."""
        self._cache.keep(self._asked)


@contextmanager
def whole_rows() -> Iterator[WholeRows]:
    """The rows known from earlier plans; what this one finds is kept where the folder can be written."""
    rows = WholeRows()
    yield rows
    rows.keep()


def _files(domain: str) -> Files:
    with os.scandir(HERE.adapted / domain) as entries:
        return [(entry.name, entry.stat()) for entry in entries]
