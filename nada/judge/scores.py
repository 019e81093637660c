"""The scores of one adapted domain, each with its reference, number of images and feature network.

Legend: M images, D CLIP width, P prompts.
Never rank by similarity alone: a collapsed generator scores highest on it and near zero on diversity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nada.errors import ShapeError
from nada.judge.features import Embedder, Features, network_name, unit
from nada.judge.frechet import frechet_distance

COLLAPSED = 1e-12  # a diversity below this is rounding: all images are one


@dataclass(frozen=True)
class Score:
    """One figure and what it is measured against."""

    value: float
    reference: str
    num_images: int
    """Images judged; where a reference is a set of images, its number is in `reference`."""
    network: str
    """Feature network: architecture@first digits of its weights' sha256."""


def judge_domain(
    clip: Embedder,
    pair_source: str,
    pair_target: str,
    source_emb: Features,
    target_emb: Features,
    reference_emb: Features | None,
    all_targets: Mapping[str, str],
    all_sources: Iterable[str] = (),
) -> dict[str, Score]:
    """Every score of one domain, from embeddings alone.

    Args:
        clip: the judge, which must not have guided.
        pair_source: prompt of the source domain.
        pair_target: prompt of the target domain.
        source_emb: embeddings of the source generator's samples, [M, D], unit norm.
        target_emb: embeddings of the adapted generator's samples on the same latents, [M, D], unit norm.
        reference_emb: embeddings of true images of the target domain, [K, D], or None where there are none.
        all_targets: target prompt of every domain of the night.
        all_sources: further source prompts of the night; `pair_source` always takes part.

    Returns:
        Scores by name. `frechet_to_reference` and `frechet_source_to_reference` only with references.

    Raises:
        ShapeError: the two sets do not come from the same latents, or hold fewer than two images.
    """
    if source_emb.shape != target_emb.shape or target_emb.shape[0] < 2:
        shapes = f"{list(source_emb.shape)} and {list(target_emb.shape)}"
        raise ShapeError(f"source and target embeddings: expected the same [M, D] with M >= 2, got {shapes}")
    num, network = target_emb.shape[0], network_name(clip)
    candidates = sorted({pair_target, pair_source, *all_targets.values(), *all_sources})

    def score(value: float, reference: str) -> Score:
        return Score(float(value), reference, num, network)

    samples = f"{num} samples of the source generator"
    spread, source_spread = diversity(target_emb), diversity(source_emb)
    scores = {
        "clip_similarity_target": score(similarity(target_emb, clip, pair_target), f"prompt '{pair_target}'"),
        "clip_similarity_source": score(similarity(target_emb, clip, pair_source), f"prompt '{pair_source}'"),
        "directional_similarity": score(
            directional_similarity(clip, pair_source, pair_target, source_emb, target_emb),
            f"text direction '{pair_source}' -> '{pair_target}', {samples} on the same latents",
        ),
        "frechet_to_source": score(frechet_distance(target_emb, source_emb), samples),
        "diversity": score(spread, "none: mean of 1 - cosine over all pairs of samples"),
        "diversity_ratio": score(spread / source_spread if source_spread > COLLAPSED else 0.0, samples),
        "retrieval_accuracy": score(
            retrieval_accuracy(target_emb, clip, pair_target, candidates),
            f"prompt '{pair_target}' among {len(candidates)} prompts",
        ),
    }
    if reference_emb is not None:
        reference = f"{reference_emb.shape[0]} images of the target domain"
        scores["frechet_to_reference"] = score(frechet_distance(target_emb, reference_emb), reference)
        scores["frechet_source_to_reference"] = score(
            frechet_distance(source_emb, reference_emb), f"{reference}, from {samples}"
        )
    return scores


def similarity(emb: Features, clip: Embedder, prompt: str) -> float:
    """Mean cosine between images [M, D] and a prompt, in [-1, 1]."""
    return float((unit(emb) @ _text(clip, prompt)).mean())


def directional_similarity(
    clip: Embedder, source: str, target: str, source_emb: Features, target_emb: Features
) -> float:
    """Mean cosine between each image edit and the text edit, in [-1, 1]; an image that did not move counts 0."""
    text_dir = unit(clip.text_direction(source, target).detach().double().cpu().numpy())
    return float((unit(target_emb - source_emb) @ text_dir).mean())


def diversity(emb: Features) -> float:
    """Mean of 1 - cosine over all pairs of different images, in [0, 1 + 1/(M - 1)]; 0 is a collapse.

    The sum over pairs follows from the norm of the sum of unit vectors, so no M x M matrix is built.
    """
    num = emb.shape[0]
    total = float(np.square(unit(emb).sum(axis=0)).sum())
    return float(max(0.0, 1.0 - (total - num) / (num * (num - 1))))


def retrieval_accuracy(emb: Features, clip: Embedder, own: str, prompts: list[str]) -> float:
    """Share of the images [M, D] whose nearest prompt, among all, is their own; in [0, 1]."""
    text_emb = np.stack([_text(clip, prompt) for prompt in prompts])  # [P, D]
    nearest = np.argmax(unit(emb) @ text_emb.T, axis=1)
    return float(np.count_nonzero(nearest == prompts.index(own)) / len(nearest))


def _text(clip: Embedder, prompt: str) -> Features:
    return unit(clip.class_embedding(prompt).detach().double().cpu().numpy())
