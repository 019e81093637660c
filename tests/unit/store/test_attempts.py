"""Nights that ended without a row are counted, and never forgotten while the row is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.config.project import HERE
from tasks.store.attempts import count_attempts, load_attempts

ROWS = ("sketch", "robot", "neon")


@pytest.fixture(autouse=True)
def empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_each_night_counts_for_the_rows_that_it_did_not_finish() -> None:
    assert load_attempts() == {}
    count_attempts(["sketch"], ROWS)
    count_attempts(["robot", "sketch"], ROWS)
    assert load_attempts() == {"robot": 1, "sketch": 2}


def test_a_finished_row_keeps_its_number_and_one_that_left_the_csv_does_not() -> None:
    count_attempts(["sketch", "robot"], ROWS)
    count_attempts(["neon"], ["sketch", "neon"])
    assert load_attempts() == {"sketch": 1, "neon": 1}


def test_a_night_that_finished_every_row_writes_nothing() -> None:
    count_attempts([], ROWS)
    assert not HERE.adapted.exists()


@pytest.mark.parametrize("damage", [b"", b"[", b"[1]", b'{"sketch": "many"}', b'{"sketch": null}', b"\xff"])
def test_a_damaged_file_counts_from_the_start(damage: bytes) -> None:
    count_attempts(["sketch"], ROWS)
    HERE.attempts.write_bytes(damage)
    assert load_attempts() == {}
    count_attempts(["robot"], ROWS)
    assert load_attempts() == {"robot": 1}
