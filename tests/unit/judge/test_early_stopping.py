"""The choice of a checkpoint, on made-up series of probes, 20 steps apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.judge import SetFeatures
from nada.judge.early_stopping import FLOOR, GAIN, MOVED, PATIENCE, Choice, Probe, choose, look

RISE = [0.2, 0.5, 0.8, 0.9]
LEVEL = [0.95, 0.951, 0.952, 0.951, 0.951]


def probes(edits: list[float], diversities: list[float] | None = None) -> list[Probe]:
    """One probe an edit; a diversity of 1 unless told."""
    kept = diversities or [1.0] * len(edits)
    figures = enumerate(zip(edits, kept, strict=True), start=1)
    return [Probe(20 * index, edit, edit, diversity, 1.0) for index, (edit, diversity) in figures]


def drive(series: list[Probe], maximum: int = 1000) -> tuple[Choice, int]:
    """The choice where training would stop, and the steps trained."""
    for num in range(1, len(series) + 1):
        choice = choose(series[:num], maximum)
        if choice.stop:
            break
    return choice, series[num - 1].step


def test_a_plateau_stops_and_its_best_probe_is_kept() -> None:
    choice, trained = drive(probes([*RISE, *LEVEL]))
    assert (choice.step, trained) == (140, 180)
    assert choice.why == (
        "step 140, directional similarity 0.952, structural diversity 100% of the source's; "
        "stopped after 180: 4 probes gained 0.002 in directional similarity, less than 0.01"
    )


def test_a_steady_rise_goes_on_to_the_maximum() -> None:
    choice, trained = drive(probes([0.3 + 0.02 * index for index in range(30)]), maximum=600)
    assert (choice.step, trained) == (600, 600)
    assert choice.why.endswith("; trained 600 of 600")


def test_a_few_dips_on_the_way_up_do_not_stop() -> None:
    choice, trained = drive(probes([*RISE, 0.7, 0.8, 0.96, *[0.99] * 5]))
    assert choice.step == 160
    assert trained == 240


def test_a_fall_after_the_best_probe_keeps_the_best() -> None:
    choice, trained = drive(probes([*RISE, 0.8, 0.7, 0.6, 0.5, 0.99]))
    assert (choice.step, trained) == (80, 160)


def test_an_edit_that_never_forms_is_given_all_steps_and_called_weak() -> None:
    choice, trained = drive(probes([0.1] * 10), maximum=200)
    assert (choice.step, trained) == (20, 200)
    assert f"directional similarity 0.100, a weak edit (below {MOVED:g})" in choice.why


def test_a_row_that_does_not_move_is_given_up_where_that_is_asked_for() -> None:
    series = probes([0.1, 0.05, 0.19, 0.1, 0.1, 0.9])
    choices = [choose(series[:num], 1000, give_up_after=5) for num in range(1, 6)]
    assert [choice.stop for choice in choices] == [False] * 4 + [True]
    assert choices[-1].step == 60
    assert choices[-1].why.endswith(
        "a weak edit (below 0.5), structural diversity 100% of the source's; "
        "stopped after 100: none of 5 probes came to 0.2 in directional similarity: no move towards the text"
    )
    assert not choose(series[:5], 1000).stop


@pytest.mark.parametrize("edits", [[0.0, 0.03, 0.06, 0.69, 0.1, 0.1], [0.2] + [0.1] * 5, [-0.5, -0.2, 0.1, 0.3, 0.1]])
def test_a_row_that_moved_once_is_not_given_up(edits: list[float]) -> None:
    assert not any(choose(probes(edits)[:num], 1000, give_up_after=4).stop for num in range(4, len(edits) + 1))


def test_a_collapse_stops_and_the_best_varied_probe_is_kept() -> None:
    choice, trained = drive(probes([*RISE, 0.95, 0.99, 0.999, 1], [1, 1, 0.9, 0.6, 0.4, 0.2, 0.1, 0.1]))
    assert (choice.step, trained) == (80, 160)
    assert choice.why.endswith("4 probes below 50% of the source's structural diversity")


def test_a_moment_of_little_diversity_stops_nothing() -> None:
    choice, _ = drive(probes([*RISE, 0.95, 0.98, *[0.98] * 4], [1, 1, 1, 0.4, 0.3, 1, 1, 1, 1, 1]))
    assert choice.step == 120


def test_a_row_that_collapsed_from_the_start_keeps_its_most_varied_probe() -> None:
    choice, trained = drive(probes([0.9, 0.95, 0.99, 1], [0.3, 0.2, 0.1, 0.1]))
    assert (choice.step, trained) == (20, 80)


@pytest.mark.parametrize("num", range(1, PATIENCE + 1))
def test_too_few_probes_stop_nothing(num: int) -> None:
    assert not choose(probes([0.99] * num), 1000).stop


def test_the_thresholds_leave_room() -> None:
    assert 0 < GAIN < MOVED < 1
    assert 0 < FLOOR < 1


class Compass:
    """A judge of two dimensions: texts and pictures lie on axes."""

    name, fingerprint, resizing = "compass", "0" * 64, "none"

    def embed_images(self, img: Tensor) -> Tensor:
        raise NotImplementedError

    def class_embedding(self, prompt: str) -> Tensor:
        return torch.tensor([1.0, 0.0]) if prompt == "photo" else torch.tensor([0.0, 1.0])

    def text_direction(self, source: str, target: str) -> Tensor:
        return torch.nn.functional.normalize(self.class_embedding(target) - self.class_embedding(source), dim=0)


def test_a_probe_measures_edit_similarity_diversity_and_drift() -> None:
    source = SetFeatures(
        emb=np.array([[1.0, 0.0], [1.0, 0.0]]), structure=np.array([[0.0, 0.0], [2.0, 0.0]]), colour=np.ones((2, 4))
    )
    target = SetFeatures(
        emb=np.array([[0.0, 1.0], [0.0, 1.0]]), structure=np.array([[0.0, 0.0], [1.0, 0.0]]), colour=np.ones((2, 4))
    )
    probe = look(Compass(), PromptPair("photo", "sketch"), source, target, 40)
    assert (probe.step, probe.diversity) == (40, 0.25)
    assert (probe.edit, probe.similarity, probe.drift) == pytest.approx((1.0, 1.0, 2**0.5))
    unmoved = look(Compass(), PromptPair("photo", "sketch"), source, source, 20)
    assert (unmoved.edit, unmoved.similarity, unmoved.diversity, unmoved.drift) == (0.0, 0.0, 1.0, 0.0)
