from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tasks.tracking.sqlite import check_database


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("create table t (x)")
    return path


def test_a_database_that_can_be_written_or_is_yet_to_be_made_passes(database: Path) -> None:
    check_database(database)
    check_database(database)
    check_database(database.with_name("new.db"))


def test_a_database_that_somebody_holds_is_refused(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.tracking.sqlite.LOCKED_SECONDS", 0.1)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            check_database(database)
    check_database(database)


def test_a_database_that_was_removed_or_replaced_is_refused(database: Path) -> None:
    check_database(database)
    kept = database.rename(database.with_name("kept.db"))
    with pytest.raises(FileNotFoundError, match="the database that this process wrote to is gone"):
        check_database(database)
    with closing(sqlite3.connect(database)) as another:
        another.execute("create table t (x)")
    with pytest.raises(FileNotFoundError, match="is gone"):
        check_database(database)
    kept.replace(database)
    check_database(database)
