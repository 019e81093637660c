"""Whether an SQLite database can be written now, found out in seconds."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

LOCKED_SECONDS = 2.0  # how long a locked database is waited for

_opened: dict[Path, int] = {}
"""Databases that this process wrote to, with their inodes."""


def check_database(path: Path) -> None:
    """Refuse a database that is locked, damaged, or not the one from before; MLflow would try it for minutes.

    A database that was removed or replaced would take what we write through connections that are open, and lose it.
    One that is not there yet is none of these.

    Raises:
        sqlite3.Error: it is locked or no database.
        OSError: it is gone, or cannot be read.
    """
    if path.is_file():
        with closing(sqlite3.connect(path, timeout=LOCKED_SECONDS, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    inode = path.stat().st_ino if path.is_file() else 0
    if _opened.setdefault(path, inode) not in (0, inode):
        raise FileNotFoundError(errno.ENOENT, "the database that this process wrote to is gone", str(path))
    _opened[path] = inode
