"""The scores of one adapted domain, each with its interval, reference, number of images and feature network.

Legend: M images of the domain and of its source, K references.
Never rank by similarity alone: a collapsed generator scores highest on it and near zero on diversity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from nada.errors import ShapeError
from nada.judge.bootstrap import Interval, estimate, mean_estimate
from nada.judge.diversity import clusters, consistency, distances, ratio, within_clusters
from nada.judge.faces.scores import face_scores
from nada.judge.features import Embedder, Features, Judge, SetFeatures, network_name, unit
from nada.judge.manifold import manifolds
from nada.judge.set_distances import frechet_estimate, kernel_estimate
from nada.judge.spaces import colour
from nada.judge.spaces.structure import LEVELS_PX, NAME
from nada.judge.spread import spread
from nada.judge.texts import directional_similarities, embed_prompts, similarities

MAX_PAIRED = 2000  # images of a set in figures over all pairs, the first ones: a gigabyte and a second at most
FLAT = 1e-12  # total variance of pictures that are all one
CONSISTENCY_MIN = 3  # images that have a correlation over pairs


@dataclass(frozen=True)
class Score:
    """One figure and what it is measured against."""

    value: float
    low: float
    """Lower end of the 95% interval over resampled images."""
    high: float
    reference: str
    num_images: int
    """Images judged; where a reference is a set of images, its number is in `reference`."""
    network: str
    """Feature network: architecture@first digits of its weights' sha256."""
    resizing: str
    """How an image reaches the network's size."""


@dataclass(frozen=True)
class Space:
    """A feature space, as scores name it."""

    network: str
    resizing: str

    def score(self, figure: Interval, reference: str, num_images: int) -> Score:
        """A figure measured in this space."""
        return Score(figure.value, figure.low, figure.high, reference, num_images, self.network, self.resizing)


@dataclass(frozen=True)
class StyleDirection:
    """Where the pictures that a domain learned from lie from its source, by the judge's CLIP."""

    direction: Tensor
    """[D], unit norm."""
    num_images: int


COLOUR = Space(colour.NAME, colour.RESIZING)
STRUCTURE = Space(NAME, f"area average to {', '.join(map(str, LEVELS_PX))} px")


def score_domain(
    judge: Judge,
    pair_source: str,
    pair_target: str,
    source: SetFeatures,
    target: SetFeatures,
    references: SetFeatures | None,
    style: StyleDirection | None = None,
) -> dict[str, Score]:
    """Every score of one domain that does not depend on others, from features alone.

    Args:
        judge: its CLIP must not have guided.
        pair_source: prompt of the source domain.
        pair_target: prompt of the target domain; empty where it has none, and pictures show it.
        source: the source generator's samples, M.
        target: the adapted generator's samples on the same latents, M.
        references: true images of the target domain, K, or None where there are none.
        style: of the pictures that the domain learned from, if it did.

    Returns:
        Scores by name; those that end in `_to_reference` only with references, `style_similarity` only with a style,
        those of the target's text only with one. Distances to the source's samples
        are called drift: they tell how far a domain moved, not how well.

    Raises:
        ShapeError: the two sets do not come from the same latents, or hold fewer than two images.
    """
    if len(source) != len(target) or len(target) < 2:
        counts = f"{len(source)} and {len(target)}"
        raise ShapeError(f"source and target: expected the same M >= 2 latents, got {counts} images")
    clip = judge.clip
    space = Space(network_name(clip), clip.resizing)
    scores = {
        **_text_scores(clip, space, pair_source, pair_target, source, target),
        **({} if style is None else _style_scores(space, style, source, target)),
        **_variety_scores(judge, space, source, target),
        **_set_scores(space, "", 1.0, source.emb, target.emb, None if references is None else references.emb),
    }
    if judge.inception is not None and source.inception is not None and target.inception is not None:
        of_truth = None if references is None else references.inception
        by_inception = Space(judge.inception.name, judge.inception.resizing)
        scores |= _set_scores(by_inception, "inception_", None, source.inception, target.inception, of_truth)
    if judge.faces is not None and source.faces is not None and target.faces is not None:
        of_faces = Space(judge.faces.name, judge.faces.resizing)
        found = face_scores(source.faces, target.faces).items()
        scores |= {name: of_faces.score(figure, reference, len(target)) for name, (figure, reference) in found}
    if references is not None:
        scores |= _second_opinion(COLOUR, "colour_", source.colour, target.colour, references.colour)
        if judge.efficientnet is not None:
            by_network = Space(judge.efficientnet.name, judge.efficientnet.resizing)
            sets = (of.efficientnet for of in (source, target, references))
            scores |= _second_opinion(by_network, "efficientnet_", *sets)
    return scores


def _second_opinion(
    space: Space, prefix: str, source: Features | None, target: Features | None, references: Features | None
) -> dict[str, Score]:
    """The distance to true images, and the source's, by features that no text has formed.

    In units of the variance of the source's pictures, so that one is about as far as these are from each other.
    """
    assert source is not None and target is not None and references is not None
    scale = max(float(source.var(axis=0).sum()), FLAT) ** 0.5
    source, target, references = source / scale, target / scale, references / scale
    truth = _truth(len(references))
    after = space.score(frechet_estimate(target, references), truth, len(target))
    before = space.score(frechet_estimate(source, references), f"{truth}, from {_samples(len(source))}", len(source))
    return {f"{prefix}frechet_to_reference": after, f"{prefix}frechet_source_to_reference": before}


def _text_scores(
    clip: Embedder, space: Space, pair_source: str, pair_target: str, source: SetFeatures, target: SetFeatures
) -> dict[str, Score]:
    (from_source,) = embed_prompts(clip, [pair_source])
    to_source = similarities(target.emb, from_source), f"prompt '{pair_source}'"
    if not pair_target:
        return {"clip_similarity_source": space.score(mean_estimate(to_source[0]), to_source[1], len(target))}
    (to_target,) = (similarities(target.emb, emb) for emb in embed_prompts(clip, [pair_target]))
    text_dir = clip.text_direction(pair_source, pair_target).detach().double().cpu().numpy()
    followed = directional_similarities(source.emb, target.emb, text_dir / np.linalg.norm(text_dir))
    direction = f"text direction '{pair_source}' -> '{pair_target}', {_samples(len(source))} on the same latents"
    references = {
        "clip_similarity_target": (to_target, f"prompt '{pair_target}'"),
        "clip_similarity_source": to_source,
        "directional_similarity": (followed, direction),
    }
    return {name: space.score(mean_estimate(of), text, len(target)) for name, (of, text) in references.items()}


def _style_scores(space: Space, style: StyleDirection, source: SetFeatures, target: SetFeatures) -> dict[str, Score]:
    direction = unit(style.direction.detach().double().cpu().numpy())
    followed = directional_similarities(source.emb, target.emb, direction)
    against = f"direction to {style.num_images} style pictures, {_samples(len(source))} on the same latents"
    return {"style_similarity": space.score(mean_estimate(followed), against, len(target))}


def _variety_scores(judge: Judge, space: Space, source: SetFeatures, target: SetFeatures) -> dict[str, Score]:
    """Diversity and consistency, by the judge and by structure."""
    num = len(target)
    samples, none = f"{_samples(num)} on the same latents", "none: mean distance over all pairs of samples"
    grouped = "none: mean distance of pairs within clusters of the samples"
    members, source_members = clusters(target.structure[:MAX_PAIRED]), clusters(source.structure[:MAX_PAIRED])
    by_structure = within_clusters(members, _within(target.structure, members))
    of_source = within_clusters(source_members, _within(source.structure, source_members))
    by_clip = within_clusters(members, _within(target.emb, members))
    near = min(num, MAX_PAIRED)
    scores = {
        "diversity": space.score(estimate(spread(target.emb), num), none, num),
        "diversity_ratio": space.score(ratio(spread(target.emb), spread(source.emb), num), samples, num),
        "structure_diversity": STRUCTURE.score(estimate(spread(target.structure), num), none, num),
        "structure_ratio": STRUCTURE.score(
            ratio(spread(target.structure), spread(source.structure), num), samples, num
        ),
        "intra_cluster_structure": STRUCTURE.score(estimate(by_structure, near), grouped, near),
        "intra_cluster_ratio": STRUCTURE.score(ratio(by_structure, of_source, near), samples, near),
        "intra_cluster_clip": space.score(estimate(by_clip, near), grouped, near),
    }
    if judge.lpips is not None and target.small_u8 is not None:
        by_lpips = within_clusters(members, [judge.lpips.distances(target.small_u8[one]) for one in members])
        perceptual = Space(judge.lpips.name, judge.lpips.resizing)
        scores["intra_cluster_lpips"] = perceptual.score(estimate(by_lpips, near), grouped, near)
    if num >= CONSISTENCY_MIN:
        kept = consistency(target.structure[:MAX_PAIRED], source.structure[:MAX_PAIRED])
        scores["consistency"] = STRUCTURE.score(kept, samples, near)
    return scores


def _set_scores(
    space: Space, prefix: str, scale: float | None, source: Features, target: Features, references: Features | None
) -> dict[str, Score]:
    """The domain against true images, where there are any, with its source as a start; and its drift from it."""
    scores = _compared(space, target, source, "drift_from_source", _samples, scale, paired=True)
    if references is not None:
        scores |= _compared(space, target, references, "to_reference", _truth, scale, paired=False)
        before = f"{_truth(len(references))}, from {_samples(len(source))}"
        start = frechet_estimate(source, references)
        scores["frechet_source_to_reference"] = space.score(start, before, len(source))
    return {f"{prefix}{name}": score for name, score in scores.items()}


def _compared(
    space: Space,
    images: Features,
    others: Features,
    suffix: str,
    named: Callable[[int], str],
    scale: float | None,
    paired: bool,
) -> dict[str, Score]:
    """The figures of one set against another; `scale` is that of the kernel distance."""
    near, near_others = images[:MAX_PAIRED], others[:MAX_PAIRED]
    over_pairs = {
        "kid": kernel_estimate(near, near_others, scale, paired),
        **manifolds(near, near_others).estimates(),
    }
    frechet = space.score(frechet_estimate(images, others, paired), named(len(others)), len(images))
    reference = named(len(near_others))
    scores = {name: space.score(figure, reference, len(near)) for name, figure in over_pairs.items()}
    return {f"{name}_{suffix}": score for name, score in {"frechet": frechet, **scores}.items()}


def _within(features: Features, members: Sequence[Sequence[int]]) -> list[Features]:
    return [distances(features[one]) for one in members]


def _samples(num: int) -> str:
    return f"{num} samples of the source generator"


def _truth(num: int) -> str:
    return f"{num} images of the target domain"
