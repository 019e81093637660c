"""Which finished rows were found whole before, so that a plan need not hash every file of every row again.

A row is known by the stamp of its folder: name, size, inode and both times of every file. Whoever writes to a file,
replaces it or touches it changes the time of change, which no ordinary program can set back; the row is then hashed
anew. What changes bytes without the file system's knowledge, a failing disk, is not seen here.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from nada.atomic import replacing
from nada.errors import OutputError
from tasks.config.project import HERE
from tasks.store import row_folder

FORMAT = 1
SETTLED_NS = 2_000_000_000  # a file that changed later than this before its check could change again within one tick


class WholeRows:
    """Finished rows, hashed at most once while nobody touches them."""

    def __init__(self, known: dict[str, str]) -> None:
        """Start from what earlier plans found.

        Args:
            known: domain -> digest of its key and its stamp.
        """
        self._known = known
        self._seen: dict[str, str] = {}

    def is_finished(self, domain: str, key: str) -> bool:
        """As `row_folder.is_finished`; a row that is known by its stamp is not read."""
        before = _digest(domain, key)
        if before is not None and self._known.get(domain) == before:
            self._seen[domain] = before
            return True
        if not row_folder.is_finished(domain, key):
            return False
        if before is not None and before == _digest(domain, key) and _is_settled(domain):
            self._seen[domain] = before
        return True

    @property
    def seen(self) -> dict[str, str]:
        """What to know the next time."""
        return self._seen


@contextmanager
def whole_rows() -> Iterator[WholeRows]:
    """The rows known from earlier plans; what this one finds is kept where the folder can be written."""
    known = _load()
    rows = WholeRows(known)
    yield rows
    if rows.seen != known:
        with suppress(OutputError), replacing(HERE.known_rows) as partial:
            partial.write_text(json.dumps({"format": FORMAT, "rows": rows.seen}), encoding="utf-8")


def _load() -> dict[str, str]:
    try:
        content = json.loads(HERE.known_rows.read_text(encoding="utf-8"))
        rows: dict[str, str] = content["rows"] if content["format"] == FORMAT else {}
        return dict(rows)
    except (OSError, ValueError, TypeError, KeyError):
        return {}  # absent or damaged: every row is hashed again


def _digest(domain: str, key: str) -> str | None:
    """One text for a key and the stamp of a row's folder; None where it cannot be read."""
    try:
        with os.scandir(HERE.adapted / domain) as entries:
            stamp = sorted((entry.name, *times(entry.stat())) for entry in entries)
    except OSError:
        return None
    return hashlib.sha256(json.dumps([key, stamp]).encode()).hexdigest()


def times(stat: os.stat_result) -> tuple[int, int, int, int]:
    """What changes whenever a file is written to, replaced or touched."""
    return stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns


def _is_settled(domain: str) -> bool:
    with os.scandir(HERE.adapted / domain) as entries:
        return max(entry.stat().st_ctime_ns for entry in entries) < time.time_ns() - SETTLED_NS
