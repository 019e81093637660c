"""What a row is expected to cost, by made-up earlier rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nada.config import Section
from nada.methods.adapt.config import AdaptConfig
from nada.methods.registry import find_method
from tasks.plan.estimate import (
    SIDE_FILES_BYTES,
    CostEstimate,
    MeasuredRow,
    earlier_samples,
    estimate,
    judging_estimate,
    keep_measured,
    recipe_of,
)
from tasks.plan.guess.rough import Rough
from tasks.store.record import MAKING_NAME
from tasks.workers.pool import WorkerSpec
from tests.methods.dream import Dream, DreamConfig, dream
from tests.rows import fill_judged, publish_made

__all__ = ["dream"]

ADAPT = find_method("adapt")

STYLE = AdaptConfig(iterations=100, batch_size=4)
COLOURS = AdaptConfig(iterations=10, batch_size=2, train="rgb")
WORKER = WorkerSpec(device="cuda:1", threads=2)
ROUGH = Rough(trained=0.5, prepared=0.1, judged=0.2, num_judged=30, spread=4.0)
SAMPLE = MeasuredRow(
    device="cuda",
    threads=2,
    generator="g",
    recipe=recipe_of(ADAPT, STYLE),
    batch_size=4,
    seconds_per_step=0.5,
    judge_seconds=3.0,
    num_bytes=1000,
)


def cost_of(config: Section, *samples: MeasuredRow) -> CostEstimate:
    return estimate(ADAPT, config, "g", 10_000, samples, WORKER, ROUGH)


def seconds(config: Section, *samples: MeasuredRow) -> float:
    return cost_of(config, *samples).seconds


def test_rows_of_the_same_recipe_give_seconds_and_bytes() -> None:
    cost = cost_of(STYLE, SAMPLE)
    assert (cost.seconds, cost.num_bytes, cost.basis) == (53.0, 1000, "measured")


def test_a_longer_row_of_the_same_recipe_takes_longer() -> None:
    assert seconds(STYLE.model_copy(update={"iterations": 1000}), SAMPLE) == 503.0


def test_the_median_withstands_one_row_that_hung() -> None:
    samples = [SAMPLE, replace(SAMPLE, seconds_per_step=0.6), replace(SAMPLE, seconds_per_step=90.0)]
    assert seconds(STYLE, *samples) == pytest.approx(63.0)


def test_rows_of_other_recipes_are_scaled_by_batch() -> None:
    cost = cost_of(COLOURS, SAMPLE)
    assert (cost.seconds, cost.basis) == (10 * 0.5 / 2 + 3.0, "other recipes")


def test_rows_with_the_same_threads_are_asked_first() -> None:
    assert seconds(STYLE, SAMPLE, *[replace(SAMPLE, threads=8, seconds_per_step=0.1)] * 5) == 53.0
    assert seconds(STYLE, replace(SAMPLE, threads=8, seconds_per_step=0.1)) == pytest.approx(13.0)


@pytest.mark.parametrize("other", [replace(SAMPLE, device="cpu"), replace(SAMPLE, generator="h")])
def test_another_kind_of_device_or_generator_says_nothing(other: MeasuredRow) -> None:
    cost = cost_of(STYLE, other)
    assert cost.basis == "guess"
    assert (cost.seconds, cost.spread) == (400 * 0.5 + 30 * 0.2, 4.0)
    assert cost.num_bytes == 10_000 + SIDE_FILES_BYTES


def test_another_method_is_another_recipe(dream: None) -> None:
    assert recipe_of(Dream(), DreamConfig()) not in (recipe_of(ADAPT, STYLE), recipe_of(ADAPT, COLOURS))
    alike = replace(SAMPLE, recipe=recipe_of(Dream(), DreamConfig()))
    assert estimate(Dream(), DreamConfig(depth=20), "g", 10_000, [alike], WORKER, ROUGH).seconds == 20 * 0.5 + 3.0
    assert cost_of(STYLE, alike).basis == "other recipes"


def test_the_number_of_steps_is_no_part_of_a_recipe() -> None:
    longer = STYLE.model_copy(update={"iterations": 1000})
    assert recipe_of(ADAPT, longer) == recipe_of(ADAPT, STYLE) != recipe_of(ADAPT, COLOURS)


def test_judging_alone_costs_what_judging_cost() -> None:
    samples = [replace(SAMPLE, judge_seconds=took) for took in (3.0, 4.0, 90.0)]
    assert judging_estimate("g", samples, WORKER, 7, ROUGH) == CostEstimate(seconds=4.0, num_bytes=7, basis="measured")
    assert judging_estimate("h", samples, WORKER, 0, ROUGH) == CostEstimate(
        seconds=6.0, num_bytes=0, basis="guess", spread=4.0
    )


MAKING: dict[str, Any] = {
    "config": STYLE.model_dump(mode="json"),
    "seconds": {"load": 0.1, "make": 50.0},
    "device": "cuda:0",
    "threads": 2,
    "provenance": {"sha256 of generator": "g"},
    "trained_steps": 100,
    "most_steps": 100,
}


def publish(domain: str, **making: Any) -> Path:
    """A finished row whose judging took three seconds."""
    folder = publish_made(domain, weights=b"w" * 1000, **{**MAKING, **making})
    fill_judged(folder, domain, seconds={"load": 9.0, "judge": 3.0})
    return folder


def size_of(folder: Path) -> int:
    """Of its files, records aside."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.name not in (MAKING_NAME, "evaluation.json"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("project")
def test_finished_rows_and_measurements_are_samples() -> None:
    assert earlier_samples() == []
    folder = publish("whole")
    (publish("old") / MAKING_NAME).write_text('{"domain": "old"}')
    publish_made("not-judged", **MAKING)
    publish("of-a-method-that-is-gone", method="dream", config={})
    publish("of-options-that-are-gone", config={"patience": 3})
    publish("of-an-unknown-generator", provenance={})
    measured = replace(SAMPLE, device="cpu", num_bytes=None)
    keep_measured([measured])
    keep_measured([replace(measured, seconds_per_step=0.7)])
    found = replace(SAMPLE, num_bytes=size_of(folder))
    assert earlier_samples() == [found, replace(measured, seconds_per_step=0.7)]


@pytest.mark.usefixtures("project")
def test_rows_that_stopped_early_foretell_shorter_rows() -> None:
    publish("chosen", trained_steps=25, kept_step=20)
    (sample,) = earlier_samples()
    assert (sample.seconds_per_step, sample.share) == (2.0, 0.25)
    assert seconds(STYLE, sample) == 25 * 2.0 + 3.0
    assert seconds(COLOURS, sample) == 10 * 2.0 / 4 * 2 + 3.0  # of another recipe, nothing says how early it stops


@pytest.mark.usefixtures("project")
def test_rows_of_one_pass_share_its_seconds() -> None:
    publish("together", group=dict.fromkeys(("together", "one", "two", "three"), "0" * 64))
    (sample,) = earlier_samples()
    assert sample.seconds_per_step == 50.0 / 4 / 100


@pytest.mark.parametrize("content", ["{", "[3]", json.dumps([{"device": "cpu"}])])
@pytest.mark.usefixtures("project")
def test_damaged_measurements_are_left_out(content: str) -> None:
    Path("weights").mkdir()
    Path("weights/.speeds.json").write_text(content)
    assert earlier_samples() == []
