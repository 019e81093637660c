"""How much the images of a set differ among themselves, and whether they still differ as their sources do.

The distance of two images is half their squared Euclidean distance, which for unit-norm embeddings is 1 - cosine.

Legend: M images, D feature width, B resamples, K images of a cluster.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nada.errors import ShapeError
from nada.judge.bootstrap import Interval, estimate, mean_over_pairs
from nada.judge.features import Features
from nada.judge.manifold import squared_distances
from nada.judge.spread import COLLAPSED, Counts, Statistic, quotient

NUM_CENTRES = 10  # of clusters, and
MAX_MEMBERS = 50  # images of each, as Ojha et al. 2021 (arXiv:2104.06820) have them


def ratio(of_target: Statistic, of_source: Statistic, num: int) -> Interval:
    """A diversity as a share of the source's on the same latents, with its interval; 0 where the source has none.

    Args:
        of_target: `spread` or `within_clusters` of the adapted images.
        of_source: the same of the source's images.
        num: latents.
    """
    if of_source(np.ones((1, num)))[0] <= COLLAPSED:
        return Interval(0.0, 0.0, 0.0)
    return estimate(lambda counts: quotient(of_target(counts), of_source(counts)), num)


def clusters(features: Features) -> list[list[int]]:
    """Images grouped around at most NUM_CENTRES of themselves; each group holds at most MAX_MEMBERS, first come.

    The first centre is the image with the smallest total distance, each further one the image farthest from those
    before (Gonzalez 1985), so a generator that knows ten pictures or fewer gets one centre a picture. Ojha et al.
    take the ten training images as centres; a domain made from text has none.

    Returns:
        Indices into the set, one list a centre; a set with fewer different images has fewer lists.
    """
    to_all = squared_distances(features, features)
    chosen = [int(to_all.sum(axis=1).argmin())]
    nearest = to_all[chosen[0]]
    while len(chosen) < NUM_CENTRES and nearest.max() > 0:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, to_all[chosen[-1]])
    owner = to_all[chosen].argmin(axis=0)
    return [np.flatnonzero(owner == index)[:MAX_MEMBERS].tolist() for index in range(len(chosen))]


def distances(features: Features) -> Features:
    """Distance of every pair, [M, M]."""
    return squared_distances(features, features) / 2


def within_clusters(members: Sequence[Sequence[int]], within: Sequence[Features]) -> Statistic:
    """Mean distance within clusters, averaged over clusters, as a function of counts (Ojha et al., arXiv:2104.06820).

    It falls to zero when a generator repeats a few pictures, which the mean over all pairs hardly notices.

    Args:
        members: `clusters` of the set.
        within: distances of every pair of each cluster, [K, K] each, with a zero diagonal.

    Returns:
        The mean over clusters of two images or more; 0 where there is none.
    """
    paired = [(np.asarray(one), pairs) for one, pairs in zip(members, within, strict=True) if len(one) > 1]

    def statistic(counts: Counts) -> Features:
        if not paired:
            return np.zeros(len(counts))
        means = np.stack([mean_over_pairs(pairs, counts[:, indices]) for indices, pairs in paired])
        present = np.isfinite(means)
        return quotient(np.where(present, means, 0.0).sum(axis=0), present.sum(axis=0).astype(np.float64))

    return statistic


def consistency(target: Features, source: Features) -> Interval:
    """Whether images differ as their sources do: a correlation over all pairs of latents, with its interval.

    The correlation (Mantel 1967) between the distance of two sources and the distance of what became of them. Turned
    colours or a mirrored picture keep all distances and score 1; pictures that have nothing to do with their
    sources score 0.

    Args:
        target: features of the adapted images, [M, D], M >= 3.
        source: features of the source's images of the same latents, [M, D].

    Returns:
        In [-1, 1]; 0 where one of the sets has no differences at all.

    Raises:
        ShapeError: sets of different size, or fewer than three images.
    """
    if len(target) != len(source) or len(target) < 3:
        raise ShapeError(f"consistency: expected two sets of M >= 3 images, got {len(target)} and {len(source)}")
    x, y = distances(np.asarray(target, dtype=np.float64)), distances(np.asarray(source, dtype=np.float64))
    if x.max() <= COLLAPSED or y.max() <= COLLAPSED:
        return Interval(0.0, 0.0, 0.0)
    x, y = x / x.max(), y / y.max()
    products = (x, y, x * x, y * y, x * y)

    def statistic(counts: Counts) -> Features:
        mean_x, mean_y, mean_xx, mean_yy, mean_xy = (mean_over_pairs(pairs, counts) for pairs in products)
        scale = np.sqrt(np.maximum(mean_xx - mean_x**2, 0) * np.maximum(mean_yy - mean_y**2, 0))
        covariance = mean_xy - mean_x * mean_y
        correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > COLLAPSED)
        return np.asarray(np.clip(correlation, -1.0, 1.0))

    return estimate(statistic, len(target))
