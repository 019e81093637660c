"""Prefect's tables are made once on a machine; later projects begin with an empty copy, if it is whole."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from prefect.settings import PREFECT_HOME, PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

from flows.server_database import begin_database, empty_database, keep_database, own_database


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def make_tables(path: Path, runs: int = 0) -> None:
    """What the server leaves, as far as it is looked at, in its own mode."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE alembic_version (version_num)")
        database.execute("INSERT INTO alembic_version VALUES ('abc')")
        database.execute("CREATE TABLE flow_run (id)")
        database.executemany("INSERT INTO flow_run VALUES (?)", [(index,) for index in range(runs)])


def project_at(home: Path) -> AbstractContextManager[object]:
    """Prefect's settings of a project, whatever those of the test session are."""
    url = f"sqlite+aiosqlite:///{home / 'prefect.db'}"
    return temporary_settings({PREFECT_HOME: home, PREFECT_SERVER_DATABASE_CONNECTION_URL: url})


def tables(path: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(path)) as database:
        revisions = database.execute("SELECT version_num, (SELECT count(*) FROM flow_run) FROM alembic_version")
        return revisions.fetchall()


def test_the_second_project_begins_with_the_tables_of_the_first(tmp_path: Path) -> None:
    with project_at(tmp_path / "first"):
        assert begin_database()
        make_tables(tmp_path / "first" / "prefect.db")
        keep_database()
    with project_at(tmp_path / "second"):
        assert not begin_database()
        assert tables(tmp_path / "second" / "prefect.db") == [("abc", 0)]
        with closing(sqlite3.connect(tmp_path / "second" / "prefect.db")) as database, database:
            database.execute("INSERT INTO flow_run VALUES (1)")
        assert not begin_database()
        assert tables(tmp_path / "second" / "prefect.db") == [("abc", 1)], "what is there stays"


@pytest.mark.parametrize("damage", ["cut", "no database", "holds a run"])
def test_a_copy_that_is_not_whole_and_empty_is_left_alone(tmp_path: Path, damage: str) -> None:
    kept = empty_database()
    make_tables(kept, runs=damage == "holds a run")
    content = {"cut": kept.read_bytes()[:5000], "no database": b"text"}.get(damage, kept.read_bytes())
    kept.write_bytes(content)
    with project_at(tmp_path / "home"):
        assert begin_database()
    assert not (tmp_path / "home" / "prefect.db").exists()


def test_a_database_that_the_settings_name_is_not_ours(tmp_path: Path) -> None:
    elsewhere = f"sqlite+aiosqlite:///{tmp_path}/elsewhere.db"
    with temporary_settings({PREFECT_HOME: tmp_path, PREFECT_SERVER_DATABASE_CONNECTION_URL: elsewhere}):
        assert own_database() is None and not begin_database()
        keep_database()
    assert not empty_database().exists()


def test_a_copy_brings_no_key_and_meets_no_log_of_another_database(tmp_path: Path) -> None:
    with project_at(tmp_path / "first"):
        make_tables(tmp_path / "first" / "prefect.db")
        with closing(sqlite3.connect(tmp_path / "first" / "prefect.db")) as database, database:
            database.execute("CREATE TABLE configuration (value)")
            database.execute("INSERT INTO configuration VALUES ('key')")
        keep_database()
    assert empty_database().stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(empty_database())) as database:
        assert database.execute("SELECT count(*) FROM configuration").fetchone() == (0,)
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "prefect.db-wal").touch()
    with project_at(tmp_path / "second"):
        assert begin_database()
    assert not (tmp_path / "second" / "prefect.db").exists()
