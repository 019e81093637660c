"""Which finished rows were found whole before, so that a plan need not hash every file of every row again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from typing import Any

from tasks.caches.stat_cache import Files, StatCache
from tasks.config.project import HERE
from tasks.store import row_folder
from tasks.store.row_folder import Keys, RowState


class WholeRows:
    """Finished rows, hashed at most once while nobody touches their folders."""

    def __init__(self) -> None:
        self._cache: StatCache[RowState] = StatCache(HERE.known_rows, _revived, lambda state: state == "whole")
        self._asked: list[str] = []

    def state_of(self, domain: str, keys: Keys) -> RowState:
        """As `row_folder.state_of`; a whole row that is known is not read."""
        self._asked.append(domain)
        version = " ".join(astuple(keys))
        return self._cache.find(domain, version, lambda: _files(domain), lambda: row_folder.state_of(domain, keys))

    def keep(self) -> None:
        """Know the rows that were asked about the next time."""
        self._cache.keep(self._asked)


@contextmanager
def whole_rows() -> Iterator[WholeRows]:
    """The rows known from earlier plans; what this one finds is kept where the folder can be written."""
    rows = WholeRows()
    yield rows
    rows.keep()


def _revived(found: Any) -> RowState:
    if found != "whole":
        raise ValueError("only whole rows are kept")
    return "whole"


def _files(domain: str) -> Files:
    with os.scandir(HERE.adapted / domain) as entries:
        return [(entry.name, entry.stat()) for entry in entries]
