"""Nights in which something is killed at a seeded moment; benchmarks/chaos.py runs many."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.chaos import TARGETS, Ground, chaos_night, drawn, make_ground

SEEDS = {10: "every worker", 38: "everything at once, with dvc repro"}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path, services: dict[str, str]) -> Ground:
    return make_ground(tmp_path_factory.mktemp("chaos"), tiny_world, services)


@pytest.mark.parametrize("seed", SEEDS, ids=SEEDS.get)
def test_a_night_in_which_something_is_killed_loses_and_doubles_nothing(seed: int, ground: Ground) -> None:
    report = chaos_night(ground, seed)
    assert report.is_good, report


def test_every_ten_seeds_kill_everything_once() -> None:
    for first in (0, 10, 40):
        assert {drawn(seed)[0] for seed in range(first, first + 10)} == set(TARGETS)
