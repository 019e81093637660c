"""Scores of portraits by networks of faces. Legend: M pictures of the domain and of its source, on the same latents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nada.judge.bootstrap import Interval, mean_estimate
from nada.judge.faces.network import AGE, DESCRIPTOR, MAN, SMILING

FIGURES = {"age": (AGE, "years"), "smiling": (SMILING, "probability"), "man": (MAN, "probability")}
FLAT = 1e-12


def face_scores(source: NDArray[np.float64], target: NDArray[np.float64]) -> dict[str, tuple[Interval, str]]:
    """Each figure with what it is measured against.

    Args:
        source: features of the source's pictures, [M, 137].
        target: of the domain's, on the same latents.

    Returns:
        `age`, `smiling` and `man` of the domain, and of its source with `_source` at the end; `identity`, the cosine of
        the descriptors of one latent before and after, both less the mean of the source's: 1 is the same picture, 0 as
        much alike as two people are.
    """
    found = {}
    for name, (column, unit) in FIGURES.items():
        found[name] = mean_estimate(target[:, column]), f"none: {unit}"
        found[f"{name}_source"] = mean_estimate(source[:, column]), f"none: {unit}, before the edit"
    mean = source[:, DESCRIPTOR].mean(axis=0)
    before, after = source[:, DESCRIPTOR] - mean, target[:, DESCRIPTOR] - mean
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    kept = (before * after).sum(axis=1) / np.maximum(norms, FLAT)
    found["identity"] = mean_estimate(kept), f"{len(source)} samples of the source generator on the same latents"
    return found
