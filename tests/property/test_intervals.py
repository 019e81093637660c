"""Intervals hold their figure, and about 95% of them hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nada.judge.bootstrap import CONFIDENCE, RESAMPLES, Interval, estimate, mean_estimate, resamples
from nada.judge.diversity import clusters, consistency, distances, ratio, within_clusters
from nada.judge.manifold import manifolds
from nada.judge.set_distances import frechet_distance, frechet_estimate, kernel_distance, kernel_estimate
from nada.judge.spread import diversity, spread

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(3, 30)
widths = st.integers(1, 8)
NIGHTS = 200  # simulated; at 95% the share of hits has a standard error of 1.5%


def features(seed: int, num: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((num, width)) @ rng.standard_normal((width, width)) + rng.standard_normal(width)


def every_estimate(a: np.ndarray, b: np.ndarray) -> dict[str, Interval]:
    members = clusters(a)
    return {
        "mean": mean_estimate(a[:, 0]),
        "diversity": estimate(spread(a), len(a)),
        "ratio": ratio(spread(a), spread(a[::-1]), len(a)),
        "intra": estimate(within_clusters(members, [distances(a[one]) for one in members]), len(a)),
        "consistency": consistency(a, a[::-1]),
        "frechet": frechet_estimate(a, b),
        "paired frechet": frechet_estimate(a, a[::-1], paired=True),
        "kernel": kernel_estimate(a, b),
        "paired kernel": kernel_estimate(a, a[::-1], paired=True),
        **manifolds(a, b).estimates(),
    }


def test_counts_of_a_resample_sum_to_the_set_and_repeat() -> None:
    first, second = list(resamples(7, 50)), list(resamples(7, 50))
    assert all(
        np.array_equal(x, y) for one, two in zip(first, second, strict=True) for x, y in zip(one, two, strict=True)
    )
    sevens, fifties = (np.concatenate(sets) for sets in zip(*first, strict=True))
    assert sevens.shape == (RESAMPLES, 7) and fifties.shape == (RESAMPLES, 50)
    assert (sevens.sum(axis=1) == 7).all() and (fifties.sum(axis=1) == 50).all()
    assert abs(fifties.mean() - 1) < 1e-12 and 0.8 < fifties.var() < 1.2


def test_large_sets_are_drawn_in_blocks_of_the_same_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate([block for (block,) in resamples(40)])
    monkeypatch.setattr("nada.judge.bootstrap.BLOCK_ENTRIES", 40 * 300)
    blocks = [block for (block,) in resamples(40)]
    assert [len(block) for block in blocks] == [300, 300, 300, 100]
    assert np.array_equal(np.concatenate(blocks), whole)


@settings(max_examples=15, deadline=None)
@given(seeds, counts, counts, widths)
def test_every_interval_holds_its_figure(seed: int, n: int, m: int, width: int) -> None:
    for name, figure in every_estimate(features(seed, n, width), features(seed + 1, m, width)).items():
        assert figure.low <= figure.value <= figure.high, name
        assert np.isfinite([figure.low, figure.high]).all(), name


@settings(max_examples=15, deadline=None)
@given(seeds, counts, counts, widths)
def test_an_interval_is_that_of_the_plain_figure(seed: int, n: int, m: int, width: int) -> None:
    a, b = features(seed, n, width), features(seed + 1, m, width)
    assert frechet_estimate(a, b).value == pytest.approx(frechet_distance(a, b), rel=1e-9, abs=1e-9)
    assert kernel_estimate(a, b).value == kernel_distance(a, b)
    assert estimate(spread(a), n).value == diversity(a)


def test_no_difference_between_images_gives_an_interval_of_no_width() -> None:
    figure = mean_estimate(np.full(20, 0.25))
    assert (figure.low, figure.value, figure.high) == (0.25, 0.25, 0.25)


def hits(draw: object, truth: float) -> float:
    found = [draw(seed) for seed in range(NIGHTS)]  # type: ignore[operator]
    return float(np.mean([one.low <= truth <= one.high for one in found]))


def test_intervals_of_a_mean_hold_the_truth_as_often_as_they_say() -> None:
    share = hits(lambda seed: mean_estimate(np.random.default_rng(seed).exponential(size=100)), 1.0)
    assert share == pytest.approx(CONFIDENCE, abs=0.05)


def test_intervals_of_diversity_hold_the_truth_as_often_as_they_say() -> None:
    """Half the mean squared distance of two standard normal points in six dimensions is six."""
    share = hits(lambda seed: estimate(spread(np.random.default_rng(seed).standard_normal((100, 6))), 100), 6.0)
    assert share == pytest.approx(CONFIDENCE, abs=0.05)


def test_intervals_of_the_kernel_distance_hold_the_truth_as_often_as_they_say() -> None:
    draws = [np.random.default_rng(seed) for seed in range(NIGHTS)]
    pairs = [(rng.standard_normal((60, 2)), rng.standard_normal((80, 2)) + 0.7) for rng in draws]
    truth = float(np.mean([kernel_distance(a, b) for a, b in pairs]))  # unbiased, so its mean is the truth
    assert hits(lambda seed: kernel_estimate(*pairs[seed]), truth) == pytest.approx(CONFIDENCE, abs=0.05)


def test_intervals_of_the_frechet_distance_hold_the_truth_as_often_as_they_say() -> None:
    """Two Gaussians with the same covariance, two apart."""
    shift = np.array([2.0, 0.0, 0.0])
    draws = [np.random.default_rng(seed) for seed in range(NIGHTS)]
    pairs = [(rng.standard_normal((150, 3)), rng.standard_normal((150, 3)) + shift) for rng in draws]
    assert hits(lambda seed: frechet_estimate(*pairs[seed]), 4.0) == pytest.approx(CONFIDENCE, abs=0.05)


def test_the_first_order_interval_is_as_wide_as_that_of_whole_distances() -> None:
    """The bootstrap of 300 whole distances, moved by its bias to the figure, against the influence of each image."""
    a, b = features(1, 120, 5), features(2, 150, 5)
    rng = np.random.default_rng(0)
    whole = [frechet_distance(a[rng.integers(0, 120, 120)], b[rng.integers(0, 150, 150)]) for _ in range(300)]
    figure = frechet_estimate(a, b)
    low, high = np.quantile(whole, [0.025, 0.975])
    assert (figure.high - figure.low) == pytest.approx(high - low, rel=0.15)
