"""SQLite databases as stores: made whole, moved with their project, and refused within seconds where they cannot be
written now.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

LOCKED_SECONDS = 2.0  # how long a locked database is waited for
JOURNALS = ("", "-journal", "-wal", "-shm")  # a database's own files: a journal belongs to whatever has the name

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


def make_database(path: Path, fill: Callable[[Path], None]) -> None:
    """Let a database be filled beside its place, which it takes when it is whole; what a kill left there goes first.

    In a folder of its own each time: whoever fills it may keep connections to one that came to nothing. Until it has
    its place nobody misses it, so the disk is waited for once, not after each of a hundred changes of its tables.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".making-{path.name}-"
    for left in path.parent.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=prefix, dir=path.parent) as folder:
        partial = Path(folder) / path.name
        with unsynchronised():
            fill(partial)
        with partial.open("rb") as whole:
            os.fsync(whole.fileno())
        partial.replace(path)


@contextmanager
def unsynchronised() -> Iterator[None]:
    """SQLite databases that SQLAlchemy opens within it do not wait for the disk."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def settle(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", settle)
    try:
        yield
    finally:
        event.remove(Engine, "connect", settle)


def move_half_made(path: Path) -> Path | None:
    """Move a store aside that was cut short while it was made; where it lies then, or None where it is none.

    A store has an experiment as soon as it is made, and nothing can be recorded before.

    Raises:
        sqlite3.Error: no database.
        OSError: it cannot be moved.
    """
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'experiments'").fetchall()
        if tables and database.execute("SELECT 1 FROM experiments LIMIT 1").fetchall():
            return None
    aside = path.with_name(f"{path.name}.half-made")
    for ending in JOURNALS:
        if (file := path.with_name(path.name + ending)).exists():
            file.replace(aside.with_name(aside.name + ending))
    _opened.pop(path, None)
    return aside


def index_tags(path: Path) -> None:
    """Let runs be found by a tag without reading those of all others, as MLflow's own tables make it do.

    Raises:
        sqlite3.Error: it cannot be written.
    """
    with closing(sqlite3.connect(path, timeout=LOCKED_SECONDS)) as database, database:
        database.execute("CREATE INDEX IF NOT EXISTS nada_tags ON tags (key, value)")


def move_artifacts(path: Path, location: str) -> None:
    """Let a store that came with a copied or moved project keep its artifacts here, where those that it has came too.

    Args:
        path: the database.
        location: of the artifacts now, as a file:// address. Others that end with its last two names are the same
            folder elsewhere.

    Raises:
        sqlite3.Error: it cannot be written.
    """
    ending = "/" + "/".join(location.rsplit("/", 2)[1:])
    with closing(sqlite3.connect(path, timeout=LOCKED_SECONDS)) as database, database:
        found = database.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        for (old,) in found:
            if old and old != location and old.startswith("file:") and old.endswith(ending):
                database.execute(
                    "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?", (location, old)
                )
                inside = "substr(artifact_uri, 1, ?) = ?"
                moved = (location, len(old) + 1, len(old) + 1, f"{old}/")
                database.execute(f"UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE {inside}", moved)
