"""What must hold of the Frechet distance for any two sets of features."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from nada.judge import frechet_distance
from nada.judge.features import unit
from nada.judge.spread import diversity

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(2, 40)
widths = st.integers(1, 12)
spreads = st.floats(0.01, 10)


def features(seed: int, num: int, width: int, spread: float = 1.0) -> np.ndarray:
    """Correlated features with an offset, so that neither mean nor covariance is special."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((width, width))
    return spread * (rng.standard_normal((num, width)) @ mixing + rng.standard_normal(width))


def textbook(a: np.ndarray, b: np.ndarray) -> float:
    """|mean difference|^2 + tr(A + B - 2 sqrtm(A B)); valid where the covariances have full rank."""
    cov_a, cov_b = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a + cov_b - 2 * root))


def scale(*sets: np.ndarray) -> float:
    return 1 + sum(float(np.square(rows).sum(axis=1).mean()) for rows in sets)


@given(seeds, counts, widths, spreads)
def test_fid_of_a_set_to_itself_is_zero(seed: int, num: int, width: int, spread: float):
    a = features(seed, num, width, spread)
    assert 0 <= frechet_distance(a, a) <= 1e-9 * scale(a)


@given(seeds, counts, counts, widths)
def test_fid_is_symmetric(seed: int, n: int, m: int, width: int):
    a, b = features(seed, n, width), features(seed + 1, m, width, 2.0)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), abs=1e-9 * scale(a, b))


@given(seeds, counts, widths, spreads)
def test_moving_a_set_adds_the_squared_shift(seed: int, num: int, width: int, step: float):
    a = features(seed, num, width)
    shift = step * np.random.default_rng(seed).standard_normal(width)
    assert frechet_distance(a, a + shift) == pytest.approx(np.square(shift).sum(), abs=1e-9 * scale(a, a + shift))


@settings(max_examples=50)
@given(seeds, widths)
def test_full_rank_sets_agree_with_the_textbook(seed: int, width: int):
    a, b = features(seed, 3 * width + 5, width), features(seed + 1, 4 * width + 5, width)
    assert frechet_distance(a, b) == pytest.approx(textbook(a, b), rel=1e-5, abs=1e-5 * scale(a, b))


@given(seeds, counts, counts, widths)
def test_order_of_the_images_does_not_matter(seed: int, n: int, m: int, width: int):
    a, b = features(seed, n, width), features(seed + 1, m, width)
    shuffled = np.random.default_rng(seed).permutation(a)
    assert frechet_distance(shuffled, b) == pytest.approx(frechet_distance(a, b), abs=1e-9 * scale(a, b))


@given(seeds, counts, counts, widths)
def test_rotating_both_sets_changes_nothing(seed: int, n: int, m: int, width: int):
    a, b = features(seed, n, width), features(seed + 1, m, width)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0]
    assert frechet_distance(a @ rotation, b @ rotation) == pytest.approx(frechet_distance(a, b), abs=1e-9 * scale(a, b))


def test_fewer_images_than_dimensions_give_the_exact_distance():
    """Two points each, on orthogonal lines: the covariances share nothing, so the traces simply add up."""
    a, b = np.zeros((2, 512)), np.zeros((2, 512))
    a[:, 0], b[:, 1] = (-1, 1), (-3, 3)
    assert frechet_distance(a, b) == pytest.approx(2 + 18)


@given(seeds, counts, widths)
def test_diversity_lies_between_collapse_and_the_simplex(seed: int, num: int, width: int):
    assert 0 <= diversity(unit(features(seed, num, width))) <= 1 + 1 / (num - 1) + 1e-9
