"""Pictures and scores of an adapted generator, on the same latents for every domain of every night.

Legend: N batch, M images of a set, L style layers, W_DIM latent width, D CLIP width, R resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from nada.generators.protocol import Generator
from nada.images import to_u8
from nada.judge import Judge, Judgement, SetFeatures, judge_domain
from nada.latents import draw_z, seeded_rng
from nada.micro_batch import MicroBatch
from tasks.config.model import Params
from tasks.config.prompts import Row

JUDGE_SEED = 20_210_802  # no row trains on these latents; the same for all, so that domains compare

PIXELS_AT_ONCE = 1 << 20  # one picture of 1024 px takes about 1 GiB to render; more at once are no faster


@dataclass(frozen=True)
class SampleSet:
    """What judging keeps of a generator's samples."""

    features: SetFeatures
    """Of the first `judge.num_images` samples, M of them."""
    pictures: Tensor
    """The first `samples.count` samples, img_u8 [M, 3, R, R]."""


@torch.no_grad()
def render(generator: Generator, ws: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Batches of img_u8 [N, 3, R, R] for ws [M, L, W_DIM], with the noise maps stored in the weights.

    Smaller ones than `batch_size` where that would be more than a megapixel at once, or memory runs out.

    Raises:
        OutOfMemoryError: not even one picture fits.
    """
    at_once = MicroBatch(max(1, min(batch_size, PIXELS_AT_ONCE // generator.resolution**2)))
    yield from at_once.each(
        "rendering", ws.shape[0], lambda part: to_u8(generator.synthesis(ws[part], noise="const")).cpu()
    )


@torch.no_grad()
def judge_ws(generator: Generator, params: Params) -> Tensor:
    """The latents of every judged picture, ws [M, L, W_DIM]; mapping networks are never adapted."""
    count = max(params.judge.num_images, params.samples.count)
    z = draw_z(count, generator, seeded_rng(JUDGE_SEED))
    return generator.mapping(z, params.samples.truncation_psi)


def sample_set(generator: Generator, judge: Judge, ws: Tensor, params: Params) -> SampleSet:
    """Render ws batch by batch, embed what is judged and keep what is shown."""
    features: list[SetFeatures] = []
    pictures: list[Tensor] = []
    seen = 0
    for img_u8 in render(generator, ws, params.judge.batch_size):
        judged = img_u8[: max(0, params.judge.num_images - seen)]
        if len(judged):
            features.append(judge.features(judged))
        pictures.append(img_u8[: max(0, params.samples.count - seen)])
        seen += len(img_u8)
    return SampleSet(SetFeatures.joined(features), torch.cat(pictures))


def score_row(
    judge: Judge,
    row: Row,
    source: SampleSet,
    target: SampleSet,
    references: SetFeatures | None,
    all_targets: dict[str, str],
) -> Judgement:
    """Every score of a row, and the prompts that its pictures find."""
    return judge_domain(judge, row.source, row.target, source.features, target.features, references, all_targets)


def scores_as_json(verdict: Judgement) -> dict[str, dict[str, Any]]:
    """Every score by name, ready for JSON."""
    return {name: asdict(score) for name, score in verdict.scores.items()}
