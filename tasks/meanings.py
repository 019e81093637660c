"""What each score is called and what it says, wherever a reader meets it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """How a score is shown and what it says."""

    name: str
    label: str
    pattern: str
    text: str
    before: str | None = None
    """The score of the unadapted generator that this one should fall below."""


MEANINGS = (
    Meaning(
        "retrieval_accuracy",
        "finds its prompt",
        "{:.0%}",
        "Share of the pictures whose nearest text, among all prompts of their night, is their own target.",
    ),
    Meaning(
        "clip_similarity_target",
        "similarity to target",
        "{:.3f}",
        "Mean cosine between the pictures and the target text. A collapsed generator scores high too.",
    ),
    Meaning(
        "clip_similarity_source",
        "similarity to source",
        "{:.3f}",
        "Mean cosine between the adapted pictures and the source text.",
    ),
    Meaning(
        "directional_similarity",
        "direction",
        "{:.3f}",
        "Mean cosine between the change of each picture and the change of the text.",
    ),
    Meaning(
        "frechet_to_reference",
        "distance to truth",
        "{:.4f}",
        "Frechet distance between the adapted pictures and true pictures of the target domain; beside it, in grey, "
        "the same distance before adaptation.",
        before="frechet_source_to_reference",
    ),
    Meaning(
        "frechet_to_source",
        "distance from source",
        "{:.4f}",
        "Frechet distance between the adapted pictures and the source's: how far the domain moved, not how well.",
    ),
    Meaning(
        "diversity",
        "diversity",
        "{:.3f}",
        "Mean of 1 - cosine over all pairs of adapted pictures. Near zero: all pictures are one.",
    ),
    Meaning(
        "diversity_ratio",
        "diversity kept",
        "{:.0%}",
        "Diversity of the adapted pictures as a share of the source's on the same latents.",
    ),
)
