"""Lengths of time, scores and storage in words, for pages and terminals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def stored(storage: Mapping[str, Any]) -> str:
    """How a row's weights are written, and what that did to them.

    >>> stored({"kind": "fp16", "rounding": {"largest_levels": 2, "mean_levels": 0.0312, "num_images": 12}})
    'in float16: 12 pictures moved by 0.031 of 255 levels on average, by 2 at most'
    """
    if rounding := storage.get("rounding"):
        moved = f"{rounding['mean_levels']:.2g} of 255 levels on average, by {rounding['largest_levels']} at most"
        return f"in float16: {rounding['num_images']} pictures moved by {moved}"
    parent = storage.get("parent")
    return f"what changed against the generator with sha256 {parent}" if parent else "whole"


def lasted(seconds: float) -> str:
    """A measured length of time.

    >>> lasted(42.4), lasted(200), lasted(7300)
    ('42 s', '3 min 20 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def scores_in_words(record: Mapping[str, Any]) -> str:
    """The scores that say most, in one line."""
    scores = {name: score["value"] for name, score in record["scores"].items()}
    words = [f"{scores['retrieval_accuracy']:.0%} find their prompt"]
    if "frechet_to_reference" in scores:
        before, after = scores["frechet_source_to_reference"], scores["frechet_to_reference"]
        words.append(f"distance to the truth {before:.3f} -> {after:.3f}")
    words.append(f"variety kept {scores['structure_ratio']:.0%}")
    if record.get("storage", {}).get("rounding"):
        words.append(stored(record["storage"]))
    return ", ".join(words)
