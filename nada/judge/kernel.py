"""The kernel distance (KID) between two sets of features, on all pairs of images at once.

Legend: n and m images, D feature width, B resamples.
"""

from __future__ import annotations

import numpy as np

from nada.errors import ShapeError
from nada.judge.bootstrap import Counts, Interval, estimate, mean_over_pairs
from nada.judge.features import Features

DEGREE, OFFSET = 3, 1.0  # of the polynomial kernel, as published


def kernel_distance(a: Features, b: Features, scale: float | None = None) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (scale x . y + 1)^3 (KID, arXiv:1801.01401).

    Published figures average it over random subsets; this is the one subset that holds every image, which has the
    same expectation and less noise. Near zero it may be slightly negative.

    Args:
        a: features, [n, D], n >= 2.
        b: features, [m, D], m >= 2.
        scale: of the inner product; 1 / D by default, as published. For unit-norm embeddings 1, so that the kernel
            sees their cosine.

    Raises:
        ShapeError: fewer than two rows, or widths that differ.
    """
    grams = _grams(a, b, scale)
    return float(_mmd2(*grams, np.ones((1, len(grams[0]))), np.ones((1, len(grams[1]))))[0])


def kernel_estimate(a: Features, b: Features, scale: float | None = None, paired: bool = False) -> Interval:
    """The kernel distance with its interval.

    Args:
        a: features, [n, D], n >= 2.
        b: features, [m, D], m >= 2.
        scale: as in `kernel_distance`.
        paired: row i of both comes from the same latent (n = m), so that they are drawn together.

    Raises:
        ShapeError: as `kernel_distance`.
    """
    grams = _grams(a, b, scale)
    if paired:
        return estimate(lambda counts: _mmd2(*grams, counts, counts), len(grams[0]))
    return estimate(lambda counts_a, counts_b: _mmd2(*grams, counts_a, counts_b), len(grams[0]), len(grams[1]))


def _grams(a: Features, b: Features, scale: float | None) -> tuple[Features, Features, Features]:
    """The kernel within a, within b, and between the two; its value of an image with itself is set to zero."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or min(len(a), len(b)) < 2 or a.shape[1] != b.shape[1]:
        raise ShapeError(f"expected [n, D] and [m, D] with n, m >= 2; got {list(a.shape)} and {list(b.shape)}")
    scale = 1 / a.shape[1] if scale is None else scale
    within_a, within_b, between = ((scale * (p @ q.T) + OFFSET) ** DEGREE for p, q in ((a, a), (b, b), (a, b)))
    np.fill_diagonal(within_a, 0)
    np.fill_diagonal(within_b, 0)
    return within_a, within_b, between


def _mmd2(within_a: Features, within_b: Features, between: Features, counts_a: Counts, counts_b: Counts) -> Features:
    """Weighted by counts, [B]; an image and its own copies make no pair."""
    cross = np.einsum("bi,bi->b", counts_a @ between, counts_b) / (counts_a.sum(axis=1) * counts_b.sum(axis=1))
    return np.asarray(mean_over_pairs(within_a, counts_a) + mean_over_pairs(within_b, counts_b) - 2 * cross)
