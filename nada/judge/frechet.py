"""The Frechet distance between two sets of features, safe for any number of images.

Legend: n and m images, D feature width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nada.errors import ShapeError


def frechet_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
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
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or min(a.shape[0], b.shape[0]) < 2 or a.shape[1] != b.shape[1]:
        raise ShapeError(f"expected [n, D] and [m, D] with n, m >= 2; got {list(a.shape)} and {list(b.shape)}")
    x, y = _centred(a), _centred(b)
    mean_term = float(np.square(a.mean(axis=0) - b.mean(axis=0)).sum())
    overlap = float(np.linalg.svd(x @ y.T, compute_uv=False).sum())
    return max(0.0, mean_term + float(np.square(x).sum()) + float(np.square(y).sum()) - 2 * overlap)


def _centred(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows whose Gram matrix is the covariance; at most D of them, so that large sets stay cheap."""
    num, width = features.shape
    rows = (features - features.mean(axis=0)) / np.sqrt(num - 1)
    # A rotation of the rows leaves both the covariance and the singular values alone.
    if num > width:
        rows = np.asarray(np.linalg.qr(rows, mode="r"))
    return np.asarray(rows, dtype=np.float64)
