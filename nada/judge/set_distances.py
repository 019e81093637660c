"""Distances between two sets of features: Frechet's (FID), and the kernel distance (KID) on all pairs of images.

Legend: n and m images, D feature width, B resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nada.errors import ShapeError
from nada.judge.bootstrap import Interval, estimate, mean_over_pairs
from nada.judge.features import Features
from nada.judge.spread import Counts

DEGREE, OFFSET = 3, 1.0  # of the polynomial kernel, as published


def frechet_distance(a: Features, b: Features) -> float:
    """Squared Frechet distance of the Gaussians fitted to two feature sets (FID, arXiv:1706.08500).

    |mean_a - mean_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2))

    With centred rows X = (a - mean) / sqrt(n - 1) and Y likewise, S_a = X^T X, and the last trace is the sum
    of the singular values of X Y^T. No square root of a product of covariances is taken, so fewer images than
    dimensions do no harm.

    Args:
        a: features, [n, D], n >= 2.
        b: features, [m, D], m >= 2.

    Returns:
        The distance, >= 0, in the features' squared unit.

    Raises:
        ShapeError: fewer than two rows, or widths that differ.
    """
    x, y = _Rows.of(a, b)
    mean_term = float(np.square(x.mean - y.mean).sum())
    overlap = float(np.linalg.svd(x.short @ y.short.T, compute_uv=False).sum())
    return max(0.0, mean_term + x.trace + y.trace - 2 * overlap)


def frechet_estimate(a: Features, b: Features, paired: bool = False) -> Interval:
    """The Frechet distance with its interval, by a bootstrap of its first-order change.

    A thousand distances would cost a thousand decompositions. To first order, counting image i of `a` once more
    changes the distance by

        2/n (mean_a - mean_b) . (a_i - mean_a) + |X_i|^2 - (U s U^T)_ii,        X Y^T = U s V^T

    so one decomposition gives every image's influence, and a resample costs one product a row. What this leaves out:
    the distance of few images is too large (its bias falls with 1/n), and the interval does not tell that.

    Args:
        a: features, [n, D], n >= 2.
        b: features, [m, D], m >= 2.
        paired: row i of both comes from the same latent (n = m), so that they are drawn together.

    Raises:
        ShapeError: as `frechet_distance`.
    """
    x, y = _Rows.of(a, b)
    shift = x.mean - y.mean
    left, singular, right = np.linalg.svd(x.short @ y.short.T, full_matrices=False)
    distance = max(0.0, float(np.square(shift).sum()) + x.trace + y.trace - 2 * float(singular.sum()))
    of_a = x.influence(shift, left, singular)
    of_b = y.influence(-shift, right.T, singular)

    def changed(counts_a: Counts, counts_b: Counts | None = None) -> Features:
        counts_b = counts_a if counts_b is None else counts_b
        return np.asarray(np.maximum(0.0, distance + (counts_a - 1) @ of_a + (counts_b - 1) @ of_b))

    return estimate(changed, len(of_a)) if paired else estimate(changed, len(of_a), len(of_b))


@dataclass(frozen=True)
class _Rows:
    """One set, centred and divided by sqrt(n - 1), so that its rows' Gram matrix is the covariance."""

    mean: Features
    rows: Features
    """[n, D]."""
    basis: Features | None
    """[n, D] with orthonormal columns, where n > D: rows = basis @ short."""
    short: Features
    """[min(n, D), D], with the same Gram matrix as the rows, so that large sets stay cheap."""

    @classmethod
    def of(cls, a: Features, b: Features) -> tuple[_Rows, _Rows]:
        """Both sets, checked."""
        a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
        if a.ndim != 2 or b.ndim != 2 or min(a.shape[0], b.shape[0]) < 2 or a.shape[1] != b.shape[1]:
            raise ShapeError(f"expected [n, D] and [m, D] with n, m >= 2; got {list(a.shape)} and {list(b.shape)}")
        return cls._of_one(a), cls._of_one(b)

    @classmethod
    def _of_one(cls, features: Features) -> _Rows:
        num, width = features.shape
        mean = features.mean(axis=0)
        rows = (features - mean) / np.sqrt(num - 1)
        if num <= width:
            return cls(mean, rows, None, rows)
        basis, short = np.linalg.qr(rows)
        return cls(mean, rows, basis, short)

    @property
    def trace(self) -> float:
        """Of the covariance."""
        return float(np.square(self.rows).sum())

    def influence(self, shift: Features, vectors: Features, singular: Features) -> Features:
        """Change of the distance per further count of each image, [n]; `shift` leads from the other set's mean."""
        num = len(self.rows)
        vectors = vectors if self.basis is None else self.basis @ vectors
        of_mean = 2 / num * np.sqrt(num - 1) * (self.rows @ shift)
        return np.asarray(of_mean + np.square(self.rows).sum(axis=1) - np.square(vectors) @ singular)


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
