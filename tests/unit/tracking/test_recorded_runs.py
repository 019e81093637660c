"""What is known here of MLflow's records: one line a row, written anew only where one is taken out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.tracking import recorded_runs
from tasks.tracking.recorded_runs import NAME, forget, known_rows, remember

ROWS = [letter * 64 for letter in "abc"]


def test_a_row_that_was_not_recorded_before_costs_no_walk_through_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(tmp_path, "store", ROWS[0])
    for row in ROWS[:2]:
        remember(tmp_path, "store", row)
    before = (tmp_path / NAME).stat()
    with monkeypatch.context() as patch:
        patch.setattr(recorded_runs, "known_rows", lambda *_: pytest.fail("every line was taken apart"))
        forget(tmp_path, "store", ROWS[2])
        forget(tmp_path, "elsewhere", ROWS[0])
    assert (tmp_path / NAME).stat().st_ino == before.st_ino
    assert known_rows(tmp_path, "store") == set(ROWS[:2])


def test_a_row_whose_run_is_replaced_is_forgotten_and_no_other(tmp_path: Path) -> None:
    for row in ROWS:
        remember(tmp_path, "store", row)
    forget(tmp_path, "store", ROWS[1])
    assert known_rows(tmp_path, "store") == {ROWS[0], ROWS[2]}
