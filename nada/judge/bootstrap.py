"""Intervals of figures by the bootstrap: a figure is a function of how often each image counts.

Drawing M images with replacement from M changes nothing but these counts, so every figure is written for a block of
counts at once and no image set is ever copied. Cost: RESAMPLES x M random integers a set, and what the figure itself
costs per block: RESAMPLES x M products for a mean, x D for a diversity, x M^2 for a kernel distance.

Legend: B resamples of a block, M images of a set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nada.judge.spread import Counts, Statistic, quotient

RESAMPLES = 1000  # the ends of a 95% interval rest on 25 resamples each
CONFIDENCE = 0.95
SEED = 20_230_413  # the same for every figure, so that figures of the same images vary together
BLOCK_ENTRIES = 1 << 22  # counts held at a time: 32 MiB


@dataclass(frozen=True)
class Interval:
    """A figure with the 95% percentile interval of its bootstrap; low <= value <= high."""

    value: float
    low: float
    high: float


def estimate(statistic: Statistic, *sizes: int) -> Interval:
    """A figure on all images, and its interval over resamples of them.

    Sets are resampled independently of each other; images that belong together (two pictures of one latent) are one
    set whose counts a statistic uses twice. Where the percentiles miss the figure itself, as they may for a
    biased one, the interval is stretched to it.

    Args:
        statistic: the figure as a function of counts.
        sizes: number of images of each set.

    Returns:
        The figure on counts of one, and its interval; the same sizes always draw the same counts.
    """
    value = float(statistic(*(np.ones((1, num)) for num in sizes))[0])
    values = np.concatenate([statistic(*counts) for counts in resamples(*sizes)])
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Interval(value, value, value)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return Interval(value, min(float(low), value), max(float(high), value))


def mean_estimate(values: NDArray[np.float64]) -> Interval:
    """The mean of one number an image, [M], with its interval."""
    values = np.asarray(values, dtype=np.float64)
    return estimate(lambda counts: counts @ values / len(values), len(values))


def mean_over_pairs(pairs: NDArray[np.float64], counts: Counts) -> NDArray[np.float64]:
    """Mean over the pairs of different images of a set, weighted by counts, [B]; NaN where a resample has no pair.

    An image and its own copies make no pair: `pairs` [M, M] must have a zero diagonal.
    """
    num_pairs = np.square(counts.sum(axis=1)) - np.square(counts).sum(axis=1)
    return quotient(np.einsum("bi,bi->b", counts @ pairs, counts), num_pairs)


def resamples(*sizes: int, num: int = RESAMPLES) -> Iterator[tuple[Counts, ...]]:
    """Counts of `num` resamples of each set, in blocks of bounded size."""
    rngs = [np.random.default_rng([SEED, index]) for index in range(len(sizes))]
    block = max(1, BLOCK_ENTRIES // max(sizes))
    for start in range(0, num, block):
        rows = min(block, num - start)
        yield tuple(_counts(rng, rows, size) for rng, size in zip(rngs, sizes, strict=True))


def _counts(rng: np.random.Generator, rows: int, size: int) -> Counts:
    drawn = rng.integers(0, size, (rows, size))
    offsets = size * np.arange(rows)[:, None]
    return np.bincount((drawn + offsets).ravel(), minlength=rows * size).reshape(rows, size).astype(np.float64)
