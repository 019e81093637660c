"""How far the images of a set lie apart: one figure, as a function of how often each image counts.

All that early stopping needs of the judge's figures: it decides what is made, their intervals do not.
Legend: M images, D feature width, B resamples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nada.errors import ShapeError
from nada.judge.features import Features

COLLAPSED = 1e-12  # a diversity below this is rounding: all images are one

Counts = NDArray[np.float64]
"""How often each image was drawn, [B, M]; the rows sum to M."""
Statistic = Callable[..., NDArray[np.float64]]
"""One block of counts a set, [B, M] each, to B values; NaN where a resample has none."""


def diversity(features: Features) -> float:
    """Mean distance over all pairs of different images; 0 is a collapse.

    On unit-norm CLIP embeddings this is the Diversity of HyperDomainNet (arXiv:2210.08884), in [0, 1 + 1/(M - 1)].

    Args:
        features: [M, D], M >= 2.
    """
    return float(spread(features)(np.ones((1, len(features))))[0])


def spread(features: Features) -> Statistic:
    """Mean distance over pairs as a function of counts, for `estimate`; an image and its own copies make no pair.

    The sum over pairs follows from the sum of the vectors, so no M x M matrix is built.

    Raises:
        ShapeError: fewer than two rows.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise ShapeError(f"diversity: expected [M, D] with M >= 2, got {list(features.shape)}")
    squared_norms = np.square(features).sum(axis=1)

    def statistic(counts: Counts) -> Features:
        num = counts.sum(axis=1)
        total = num * (counts @ squared_norms) - np.square(counts @ features).sum(axis=1)
        num_pairs = np.square(num) - np.square(counts).sum(axis=1)
        return np.asarray(np.maximum(quotient(total, num_pairs), 0.0))

    return statistic


def quotient(total: NDArray[np.float64], num: NDArray[np.float64]) -> NDArray[np.float64]:
    """total / num, and NaN where num is zero."""
    return np.asarray(np.divide(total, num, out=np.full_like(total, np.nan), where=num > 0), dtype=np.float64)
