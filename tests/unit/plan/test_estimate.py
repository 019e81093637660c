"""What a row is expected to cost, by made-up earlier rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nada.methods.adapt.config import AdaptConfig
from tasks.plan.estimate import (
    GUESSED_JUDGE_SECONDS,
    GUESSED_SECONDS_PER_SAMPLE,
    SIDE_FILES_BYTES,
    MeasuredRow,
    earlier_samples,
    estimate,
    keep_measured,
    recipe_of,
)
from tasks.store import row_folder
from tasks.workers.pool import WorkerSpec

STYLE = AdaptConfig(iterations=100, batch_size=4)
COLOURS = AdaptConfig(iterations=10, batch_size=2, train="rgb")
WORKER = WorkerSpec(device="cuda:1", threads=2)
SAMPLE = MeasuredRow(
    device="cuda",
    threads=2,
    generator="g",
    recipe=recipe_of(STYLE),
    batch_size=4,
    seconds_per_step=0.5,
    judge_seconds=3.0,
    num_bytes=1000,
)


def seconds(adapt: AdaptConfig, *samples: MeasuredRow) -> float:
    return estimate(adapt, "g", 10_000, samples, WORKER).seconds


def test_rows_of_the_same_recipe_give_seconds_and_bytes() -> None:
    cost = estimate(STYLE, "g", 10_000, [SAMPLE], WORKER)
    assert (cost.seconds, cost.num_bytes, cost.basis) == (53.0, 1000, "measured")


def test_a_longer_row_of_the_same_recipe_takes_longer() -> None:
    assert seconds(STYLE.model_copy(update={"iterations": 1000}), SAMPLE) == 503.0


def test_the_median_withstands_one_row_that_hung() -> None:
    samples = [SAMPLE, replace(SAMPLE, seconds_per_step=0.6), replace(SAMPLE, seconds_per_step=90.0)]
    assert seconds(STYLE, *samples) == pytest.approx(63.0)


def test_rows_of_other_recipes_are_scaled_by_batch() -> None:
    cost = estimate(COLOURS, "g", 10_000, [SAMPLE], WORKER)
    assert (cost.seconds, cost.basis) == (10 * 0.5 / 2 + 3.0, "other recipes")


def test_rows_with_the_same_threads_are_asked_first() -> None:
    assert seconds(STYLE, SAMPLE, *[replace(SAMPLE, threads=8, seconds_per_step=0.1)] * 5) == 53.0
    assert seconds(STYLE, replace(SAMPLE, threads=8, seconds_per_step=0.1)) == pytest.approx(13.0)


@pytest.mark.parametrize("other", [replace(SAMPLE, device="cpu"), replace(SAMPLE, generator="h")])
def test_another_kind_of_device_or_generator_says_nothing(other: MeasuredRow) -> None:
    cost = estimate(STYLE, "g", 10_000, [other], WORKER)
    assert cost.basis == "guess"
    assert cost.seconds == 400 * GUESSED_SECONDS_PER_SAMPLE + GUESSED_JUDGE_SECONDS
    assert cost.num_bytes == 10_000 + SIDE_FILES_BYTES


def record(domain: str) -> dict[str, Any]:
    return {
        "domain": domain,
        "key": "k",
        "device": "cuda:0",
        "threads": 2,
        "adapt": STYLE.model_dump(mode="json"),
        "seconds": {"load": 0.1, "adapt": 50.0, "judge": 3.0, "total": 53.1},
        "provenance": {"sha256 of generator": "g"},
    }


def test_finished_rows_and_measurements_are_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert earlier_samples() == []
    for domain, content in (("whole", record("whole")), ("old", {"domain": "old"})):
        folder = row_folder.partial_dir(domain)
        (folder / row_folder.WEIGHTS_NAME).write_bytes(b"w" * 1000)
        row_folder.write_record(folder, content)
        row_folder.publish(folder, domain)
    measured = replace(SAMPLE, device="cpu", num_bytes=None)
    keep_measured([measured])
    keep_measured([replace(measured, seconds_per_step=0.7)])
    assert earlier_samples() == [SAMPLE, replace(measured, seconds_per_step=0.7)]


def test_rows_that_stopped_early_foretell_shorter_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = row_folder.partial_dir("chosen")
    row_folder.write_record(folder, {**record("chosen"), "choice": {"step": 20, "trained": 25}})
    row_folder.publish(folder, "chosen")
    (sample,) = earlier_samples()
    assert (sample.seconds_per_step, sample.share) == (2.0, 0.25)
    assert seconds(STYLE, sample) == 25 * 2.0 + 3.0
    assert seconds(COLOURS, sample) == 10 * 2.0 / 4 * 2 + 3.0  # of another recipe, nothing says how early it stops


@pytest.mark.parametrize("content", ["{", "[3]", json.dumps([{"device": "cpu"}])])
def test_damaged_measurements_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights").mkdir()
    Path("weights/.speeds.json").write_text(content)
    assert earlier_samples() == []
