from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tasks.tracking.sqlite import check_database, index_tags, make_database, move_artifacts, move_half_made


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


def run(path: Path, *statements: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as database, database:
        return [row for statement in statements for row in database.execute(statement).fetchall()]


def test_a_database_is_there_when_it_is_whole_and_what_a_kill_left_is_not_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "new" / "some.db"

    def broken(partial: Path) -> None:
        run(partial, "create table half (x)")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        make_database(path, broken)
    (path.parent / ".making-some.db-killed").mkdir()
    (path.parent / ".making-some.db-killed" / "some.db-journal").touch()
    places: list[Path] = []

    def whole(partial: Path) -> None:
        places.append(partial)
        assert not path.exists()
        run(partial, "create table whole (x)")

    make_database(path, whole)
    assert run(path, "select name from sqlite_master") == [("whole",)]
    assert [file.name for file in path.parent.iterdir()] == ["some.db"]
    path.unlink()
    make_database(path, whole)
    assert places[0] != places[1]


HALF_MADE = {
    "empty": (),
    "tables of another kind": ("create table alembic_version (version_num)",),
    "no experiment": ("create table experiments (experiment_id)", "create table runs (run_uuid)"),
}


@pytest.mark.parametrize("name", HALF_MADE)
def test_a_store_without_an_experiment_was_cut_short_and_is_moved_aside_with_its_journals(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "mlflow.db"
    run(path, *HALF_MADE[name])
    path.with_name("mlflow.db-wal").touch()
    check_database(path)
    aside = move_half_made(path)
    assert aside == tmp_path / "mlflow.db.half-made"
    assert sorted(file.name for file in tmp_path.iterdir() if not file.name.endswith("shm")) == [
        "mlflow.db.half-made",
        "mlflow.db.half-made-wal",
    ]
    run(path, "create table experiments (experiment_id)", "insert into experiments values (0)")
    check_database(path)  # though this process wrote to another one of that name
    assert move_half_made(path) is None


OLD, NEW, ELSEWHERE = "file:///old/.mlflow/artifacts", "file:///new/.mlflow/artifacts", "file:///old/pictures"


def test_artifacts_are_looked_for_and_kept_where_the_project_is_now(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    run(
        path,
        "create table experiments (artifact_location)",
        "create table runs (artifact_uri)",
        f"insert into experiments values ('{OLD}'), ('{ELSEWHERE}'), ('s3://b/.mlflow/artifacts'), (null)",
        f"insert into runs values ('{OLD}/1/artifacts'), ('{OLD}-2/1/artifacts'), ('{ELSEWHERE}/1/artifacts')",
    )
    for _ in range(2):
        move_artifacts(path, NEW)
        assert [row for (row,) in run(path, "select * from experiments")] == [
            NEW, ELSEWHERE, "s3://b/.mlflow/artifacts", None,
        ]  # fmt: skip
        assert [row for (row,) in run(path, "select * from runs")] == [
            f"{NEW}/1/artifacts", f"{OLD}-2/1/artifacts", f"{ELSEWHERE}/1/artifacts",
        ]  # fmt: skip


def test_only_while_it_is_made_a_database_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    def waits(path: Path) -> list[int]:
        with create_engine(f"sqlite:///{path}").connect() as connection:
            return list(connection.execute(text("PRAGMA synchronous")).scalars())

    found: list[list[int]] = []
    make_database(tmp_path / "some.db", lambda partial: found.append(waits(partial)))
    assert (found, waits(tmp_path / "some.db")) == ([[0]], [2])


def test_runs_are_found_by_a_tag_without_reading_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    run(path, "create table tags (key text, value text, run_uuid text, primary key (key, run_uuid))")
    for _ in range(2):  # every night asks for it
        index_tags(path)
    plan = run(path, "explain query plan select run_uuid from tags where key = 'nada.key' and value = 'x'")
    assert "USING INDEX nada_tags (key=? AND value=?)" in str(plan)
