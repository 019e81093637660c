"""The table of options against collapse: what is there is not run again, and counts once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from nada.methods.adapt.config import AdaptConfig
from tests.scripts import scripts_of


@pytest.fixture
def collapse() -> Iterator[ModuleType]:
    with scripts_of("benchmarks") as imported:
        yield imported("collapse")


def test_every_option_is_one_of_adapt(collapse: ModuleType) -> None:
    for options in collapse.OPTIONS.values():
        AdaptConfig.model_validate({"batch_size": 4, **options})


def test_finished_runs_come_back_from_the_file_and_into_one_table(collapse: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    assert collapse.RUNS.read(path) == []
    runs = [
        collapse.Run("neon", "none", 0, 60, 0.3, 0.8, 0.25, 0.9, 0.2),
        collapse.Run("robot", "none", 0, 60, 0.5, 0.6, None, 0.7, 0.4),
        collapse.Run("neon", "none", 1, 60, 0.5, 0.7, 0.35, 0.8, 0.3),
        collapse.Run("neon", "elastic", 1, 60, 0.25, 0.75, 0.5, 1.0, 0.25),
    ]
    for run in runs:
        collapse.option_runs.append(path, run)
    assert collapse.RUNS.read(path) == runs
    assert list(collapse.RUNS.table(runs)) == [
        "| option | runs | left | edit | paired | variety | seconds |",
        "|---|---:|---:|---:|---:|---:|---:|",
        "| none | 3 | 0.450 ±0.071 | 0.700 ±0.000 | 0.300 ±0.071 | 0.800 ±0.000 | 0.300 ±0.000 |",
        "| elastic | 1 | 0.250 | 0.750 | 0.500 | 1.000 | 0.250 |",
    ]
