"""The table of cheaper options: what is there is not run again, and counts once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from nada.methods.adapt.config import AdaptConfig
from tests.scripts import scripts_of


@pytest.fixture
def estimator() -> Iterator[ModuleType]:
    with scripts_of("benchmarks") as imported:
        yield imported("estimator")


def test_every_option_is_one_of_adapt(estimator: ModuleType) -> None:
    for options in estimator.OPTIONS.values():
        AdaptConfig.model_validate(estimator.merged(AdaptConfig(batch_size=4).model_dump(), options))


def test_a_part_of_a_section_keeps_its_other_keys(estimator: ModuleType) -> None:
    section = {"iterations": 9, "selection": {"k": "all", "every": 2}}
    assert estimator.merged(section, {"selection": {"k": 3}})["selection"] == {"k": 3, "every": 2}
    assert section["selection"] == {"k": "all", "every": 2}


def test_finished_runs_come_back_from_the_file_and_into_one_table(estimator: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    assert estimator.RUNS.read(path) == []
    runs = [
        estimator.Run("neon", "exact", 0, 60, 0.3, 0.25, 0.8, 0.9, 20.0),
        estimator.Run("red", "exact", 0, 60, 0.5, 0.25, 0.6, 0.7, 40.0),
        estimator.Run("neon", "exact", 1, 60, 0.5, 0.35, 0.7, 0.8, 30.0),
        estimator.Run("neon", "bank 64", 1, 60, 0.25, 0.5, 0.75, 1.0, 25.0),
    ]
    for run in runs:
        estimator.option_runs.append(path, run)
    assert estimator.RUNS.read(path) == runs
    assert list(estimator.RUNS.table(runs)) == [
        "| option | runs | left | paired | edges | variety | seconds |",
        "|---|---:|---:|---:|---:|---:|---:|",
        "| exact | 3 | 0.450 ±0.071 | 0.300 ±0.071 | 0.700 ±0.000 | 0.800 ±0.000 | 30.000 ±0.000 |",
        "| bank 64 | 1 | 0.250 | 0.500 | 0.750 | 1.000 | 25.000 |",
    ]
