"""What each score is called and what it says, wherever a reader meets it; docs/scores.md defines them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class ScoreInfo:
    """How a score is shown and what it says."""

    name: str
    label: str
    pattern: str
    text: str
    before: str | None = None
    """The score of the unadapted generator that this one should fall below."""
    first: bool = False
    """Whether it stands in tables, with its interval; the others are in a domain's details."""
    counts: bool = False
    """Whether it is the share of the judged pictures of which something is true."""

    def shown(self, value: float, low: float, high: float, num_images: int = 0) -> str:
        """The figure with half its interval, the wider half: `98% ±1%`.

        Where pictures all agree, that half would be nothing, which says more than they can: of `num_images`, it is told
        how many they were, `0 of 8`.
        """
        half, nothing = (self.pattern.format(width) for width in (max(high - value, value - low), 0.0))
        if half != nothing:
            return f"{self.pattern.format(value)} ±{half}"
        counted = self.counts and num_images and value in (0.0, 1.0)
        return f"{round(value * num_images)} of {num_images}" if counted else self.pattern.format(value)


SCORES = (
    ScoreInfo(
        "retrieval_accuracy",
        "finds its prompt",
        "{:.0%}",
        "Share of the pictures whose nearest text, among all prompts of their night, is their own target.",
        first=True,
        counts=True,
    ),
    ScoreInfo(
        "directional_similarity",
        "direction",
        "{:.2f}",
        "Mean cosine between the change of each picture and the change of the text.",
        first=True,
    ),
    ScoreInfo(
        "style_similarity",
        "direction to style",
        "{:.2f}",
        "Mean cosine between the change of each picture and the way from the source's pictures to the style pictures.",
        first=True,
    ),
    ScoreInfo(
        "frechet_to_reference",
        "distance to truth",
        "{:.3f}",
        "Frechet distance between the adapted pictures and true pictures of the target domain; beside it, in grey, "
        "the same distance before adaptation.",
        before="frechet_source_to_reference",
        first=True,
    ),
    ScoreInfo(
        "inception_frechet_to_reference",
        "FID to truth",
        "{:.1f}",
        "Frechet distance on Inception features (FID) between the adapted pictures and true pictures of the target "
        "domain; beside it, in grey, the same distance before adaptation. Few pictures make it too large.",
        before="inception_frechet_source_to_reference",
        first=True,
    ),
    ScoreInfo(
        "inception_kid_to_reference",
        "KID to truth",
        "{:.4f}",
        "Kernel distance on Inception features (KID) between the adapted pictures and true pictures of the target "
        "domain, without the bias of small sets.",
        first=True,
    ),
    ScoreInfo(
        "paired_error",
        "error left",
        "{:.0%}",
        "Mean difference between the adapted pictures and what these very latents should look like, as a share of the "
        "unadapted ones': 0 is the truth itself, 1 as far from it as before.",
        first=True,
    ),
    ScoreInfo(
        "structural_similarity",
        "similarity of structure",
        "{:.2f}",
        "Structural similarity (SSIM) of lightness with the true pictures of these latents.",
    ),
    ScoreInfo(
        "lightness_correlation",
        "lightness as it should be",
        "{:.2f}",
        "Correlation of lightness with the true pictures of these latents; below 0 where tones run the wrong way.",
    ),
    ScoreInfo(
        "edge_correlation",
        "edges where they should be",
        "{:.2f}",
        "Correlation of the strength of edges with the true pictures of these latents.",
    ),
    ScoreInfo(
        "frechet_drift_from_source",
        "drift from source",
        "{:.3f}",
        "Frechet distance between the adapted pictures and the source's: how far the domain moved, not how well.",
        first=True,
    ),
    ScoreInfo(
        "inception_frechet_drift_from_source",
        "drift by Inception",
        "{:.1f}",
        "Frechet distance on Inception features between the adapted pictures and the source's, which is the formula "
        "of FID: how far the domain moved, not how well.",
        first=True,
    ),
    ScoreInfo(
        "inception_kid_drift_from_source",
        "kernel drift by Inception",
        "{:.4f}",
        "Kernel distance on Inception features between the adapted pictures and the source's, the formula of KID: how "
        "far the domain moved, not how well.",
    ),
    ScoreInfo(
        "structure_ratio",
        "variety kept",
        "{:.0%}",
        "How much the adapted pictures differ among themselves in what they show where, colours and contrast aside, as "
        "a share of the source's. Near zero: all pictures are one.",
        first=True,
    ),
    ScoreInfo(
        "intra_cluster_ratio",
        "variety within groups",
        "{:.0%}",
        "The same within ten groups of similar pictures. Near zero: a few pictures are repeated.",
    ),
    ScoreInfo(
        "consistency",
        "portraits kept",
        "{:.2f}",
        "Whether two pictures differ as much as their sources did: 1 where every portrait stayed itself, 0 where the "
        "pictures have nothing to do with their sources.",
        first=True,
    ),
    ScoreInfo(
        "identity",
        "same person",
        "{:.2f}",
        "How alike the faces of one latent are before and after the edit, by a network that knows people: 1 the same "
        "picture, 0 as much as two people.",
        first=True,
    ),
    ScoreInfo(
        "age",
        "age",
        "{:.0f}",
        "Years that a network gives the portraits; beside them those before the edit.",
        before="age_source",
    ),
    ScoreInfo(
        "smiling",
        "smiling",
        "{:.0%}",
        "How sure a network of expressions is, on average, that the portraits smile; beside it, before the edit.",
        before="smiling_source",
    ),
    ScoreInfo(
        "man",
        "men",
        "{:.0%}",
        "How sure a network is, on average, that the portraits show men; beside it, before the edit.",
        before="man_source",
    ),
    ScoreInfo(
        "clip_similarity_target",
        "similarity to target",
        "{:.3f}",
        "Mean cosine between the pictures and the target text. A collapsed generator scores high too.",
    ),
    ScoreInfo(
        "clip_similarity_source",
        "similarity to source",
        "{:.3f}",
        "Mean cosine between the adapted pictures and the source text.",
    ),
    ScoreInfo(
        "kid_to_reference",
        "kernel distance to truth",
        "{:.3f}",
        "Kernel distance (KID) between the adapted pictures and true pictures, without the bias of small sets.",
    ),
    ScoreInfo(
        "precision_to_reference",
        "precision",
        "{:.0%}",
        "Share of the pictures that lie among true pictures of the target domain.",
    ),
    ScoreInfo(
        "recall_to_reference",
        "recall",
        "{:.0%}",
        "Share of the true pictures that lie among the adapted ones.",
    ),
    ScoreInfo(
        "density_to_reference",
        "density",
        "{:.2f}",
        "How many true pictures surround an adapted one, of what is usual among them.",
    ),
    ScoreInfo(
        "coverage_to_reference",
        "coverage",
        "{:.0%}",
        "Share of the true pictures that have an adapted one nearby.",
    ),
    ScoreInfo(
        "diversity",
        "diversity to the judge",
        "{:.3f}",
        "Mean of 1 - cosine over all pairs of adapted pictures. Style fills the embeddings, so it says little about "
        "how different the pictures look.",
    ),
)
MAIN_SCORES = tuple(meaning for meaning in SCORES if meaning.first)
GLANCED_AT = 6
FIRST_GLANCE = (
    "retrieval_accuracy",
    "directional_similarity",
    "paired_error",
    "structure_ratio",
    "consistency",
    "frechet_to_reference",
    "inception_frechet_to_reference",
)
"""What a page shows ahead of the other main scores where a row has it, the first ones first."""


def at_a_glance(names: Collection[str]) -> list[ScoreInfo]:
    """The few scores that a reader sees before unfolding the others.

    Args:
        names: of the scores that there are.
    """
    ranked = [*FIRST_GLANCE, *(meaning.name for meaning in MAIN_SCORES if meaning.name not in FIRST_GLANCE)]
    seen = [name for name in ranked if name in names][:GLANCED_AT]
    return [meaning for meaning in MAIN_SCORES if meaning.name in seen]
