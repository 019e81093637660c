"""Whether images lie where the references lie, and whether they reach all of them.

The manifold of a set is the union of balls around its images, each reaching to the image's k-th nearest neighbour
within the set.

Legend: n judged images, m references, D feature width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nada.errors import ShapeError
from nada.judge.bootstrap import Interval, mean_estimate
from nada.judge.features import Features

NEIGHBOURS = 3  # of precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991)
WIDER = 5  # of density and coverage (Naeem et al. 2020, arXiv:2002.09797)
ROUNDING = 1e-12  # squared distances below this share of the squared norms are zero


@dataclass(frozen=True)
class Manifolds:
    """Four figures of a set against references, as one number an image each; their means are the figures."""

    precision: Features
    """1 where an image lies in the references' manifold, [n]."""
    recall: Features
    """1 where a reference lies in the images' manifold, [m]."""
    density: Features
    """Number of reference balls around an image, divided by k, [n]; above 1 where references lie close."""
    coverage: Features
    """1 where the ball of a reference holds an image, [m]."""

    def estimates(self) -> dict[str, Interval]:
        """Each figure with its interval.

        Precision and density are resampled over the judged images, recall and coverage over the references: these
        are the images that the mean is over. The manifolds themselves stay, since an image drawn twice would be its
        own nearest neighbour.
        """
        return {name: mean_estimate(values) for name, values in vars(self).items()}


def manifolds(a: Features, b: Features) -> Manifolds:
    """Precision, recall, density and coverage of images against references.

    Args:
        a: features of the judged images, [n, D], n >= 2.
        b: features of the references, [m, D], m >= 2.

    Returns:
        Means in [0, 1], density in [0, m / k]. A set with fewer than k + 1 images uses its farthest neighbour.

    Raises:
        ShapeError: fewer than two rows, or widths that differ.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or min(len(a), len(b)) < 2 or a.shape[1] != b.shape[1]:
        raise ShapeError(f"expected [n, D] and [m, D] with n, m >= 2; got {list(a.shape)} and {list(b.shape)}")
    between, within_a, within_b = squared_distances(a, b), squared_distances(a, a), squared_distances(b, b)
    near_a, near_b, reach = _radii(within_a, NEIGHBOURS), _radii(within_b, NEIGHBOURS), _radii(within_b, WIDER)
    return Manifolds(
        precision=_share((between <= near_b).any(axis=1)),
        recall=_share((between <= near_a[:, None]).any(axis=0)),
        density=_share((between <= reach).sum(axis=1)) / min(WIDER, len(b) - 1),
        coverage=_share((between <= reach).any(axis=0)),
    )


def _share(values: Any) -> Features:
    return np.asarray(values, dtype=np.float64)


def squared_distances(a: Features, b: Features) -> Features:
    """Squared Euclidean distances, [n, m]; what is left by rounding between equal rows is exactly zero."""
    norms = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)
    distances = norms - 2 * (a @ b.T)
    return np.where(distances < ROUNDING * norms, 0.0, distances)


def _radii(within: Features, neighbours: int) -> Features:
    """Squared distance of each image to its k-th nearest neighbour; the image itself is not one."""
    index = min(neighbours, len(within) - 1)
    return np.asarray(np.partition(within, index, axis=1)[:, index])
