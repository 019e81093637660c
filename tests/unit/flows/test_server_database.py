"""Prefect's database is whole or absent; its tables are made once on a machine, later projects begin with a copy."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from prefect.settings import PREFECT_HOME, PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

from flows import server_database
from flows.server_database import begin_database, empty_database, own_database


class KilledError(BaseException):
    """Stands for a process that ended."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    migrate_by(monkeypatch, make_tables)


def migrate_by(monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object]) -> None:
    async def migrate(path: Path) -> None:
        make(path)

    migrating: Callable[[Path], Awaitable[None]] = migrate
    monkeypatch.setattr(server_database, "make_tables", migrating)


def make_tables(path: Path, runs: int = 0) -> None:
    """What Prefect makes, as far as it is looked at, in its own mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE alembic_version (version_num)")
        database.execute("INSERT INTO alembic_version VALUES ('abc')")
        database.execute("CREATE TABLE flow_run (id)")
        database.executemany("INSERT INTO flow_run VALUES (?)", [(index,) for index in range(runs)])


def kept() -> Path:
    path = empty_database()
    assert path is not None
    return path


def project_at(home: Path) -> AbstractContextManager[object]:
    """Prefect's settings of a project, whatever those of the test session are."""
    url = f"sqlite+aiosqlite:///{home / 'prefect.db'}"
    return temporary_settings({PREFECT_HOME: home, PREFECT_SERVER_DATABASE_CONNECTION_URL: url})


def tables(path: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(path)) as database:
        revisions = database.execute("SELECT version_num, (SELECT count(*) FROM flow_run) FROM alembic_version")
        return revisions.fetchall()


def test_the_second_project_begins_with_the_tables_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with project_at(tmp_path / "first"):
        begin_database()
    assert [path.name for path in (tmp_path / "first").iterdir()] == ["prefect.db"]
    migrate_by(monkeypatch, lambda _: pytest.fail("made once more"))
    with project_at(tmp_path / "second"):
        begin_database()
        assert tables(tmp_path / "second" / "prefect.db") == [("abc", 0)]
        with closing(sqlite3.connect(tmp_path / "second" / "prefect.db")) as database, database:
            database.execute("INSERT INTO flow_run VALUES (1)")
        begin_database()
        assert tables(tmp_path / "second" / "prefect.db") == [("abc", 1)], "what is there stays"


@pytest.mark.parametrize("damage", ["cut", "no database", "holds a run"])
def test_a_copy_that_is_not_whole_and_empty_is_made_anew(tmp_path: Path, damage: str) -> None:
    make_tables(kept(), runs=damage == "holds a run")
    content = {"cut": kept().read_bytes()[:5000], "no database": b"text"}.get(damage, kept().read_bytes())
    kept().write_bytes(content)
    with project_at(tmp_path / "home"):
        begin_database()
    assert tables(tmp_path / "home" / "prefect.db") == tables(kept()) == [("abc", 0)]


def test_a_server_that_is_killed_amid_the_tables_leaves_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(path: Path) -> None:
        path.write_bytes(b"half")
        raise KilledError

    gone = tmp_path / "home" / "unfinished-999999999-abc"
    gone.mkdir(parents=True)
    alive = tmp_path / "home" / f"unfinished-{os.getppid()}-abc"
    alive.mkdir()
    foreign = tmp_path / "home" / "unfinished-business"
    foreign.mkdir()
    migrate_by(monkeypatch, begin)
    with project_at(tmp_path / "home"), pytest.raises(KilledError):
        begin_database()
    assert {path.name for path in (tmp_path / "home").iterdir()} == {alive.name, foreign.name}
    assert not kept().exists()


def test_what_a_killed_server_left_is_removed_when_the_database_is_there_too(tmp_path: Path) -> None:
    with project_at(tmp_path / "home"):
        begin_database()
        (tmp_path / "home" / "unfinished-999999999-abc").mkdir()
        begin_database()
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["prefect.db"]


def test_tables_that_cannot_be_made_beside_are_left_to_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    migrate_by(monkeypatch, refuse)
    with project_at(tmp_path / "home"):
        begin_database()
    assert not [*(tmp_path / "home").iterdir()]


def test_a_database_that_another_server_made_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(path: Path) -> None:
        make_tables(path)
        make_tables(tmp_path / "home" / "prefect.db", runs=1)

    migrate_by(monkeypatch, meanwhile)
    with project_at(tmp_path / "home"):
        begin_database()
    assert tables(tmp_path / "home" / "prefect.db") == [("abc", 1)]


def test_a_database_that_the_settings_name_is_not_ours(tmp_path: Path) -> None:
    elsewhere = f"sqlite+aiosqlite:///{tmp_path}/elsewhere.db"
    with temporary_settings({PREFECT_HOME: tmp_path, PREFECT_SERVER_DATABASE_CONNECTION_URL: elsewhere}):
        assert own_database() is None
        begin_database()
    assert not kept().exists()


def test_a_new_database_meets_no_log_of_one_that_went(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "prefect.db-wal").touch()
    with project_at(tmp_path / "home"):
        begin_database()
    assert not (tmp_path / "home" / "prefect.db").exists()
