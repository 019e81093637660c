"""The pictures of a generator that are judged and shown, each rendered once, and their features.

Features are kept between nights under what decides them, so that more pictures cost the new ones alone, and a further
network its own passes. Legend: M pictures, L style layers, W_DIM latent width, R resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nada.generators.domain import Domain
from nada.judge import SetFeatures
from nada.judge.samples import PIXELS_AT_ONCE, render
from tasks.caches.feature_cache import sample_features
from tasks.keys.inputs import evaluation_code

if TYPE_CHECKING:
    from tasks.row.models import WarmModels


@dataclass(frozen=True)
class SampleSet:
    """What judging keeps of a generator's samples."""

    features: SetFeatures
    """Of the first `judge.num_images` samples, M of them."""
    pictures: Tensor
    """The first samples, as many as were asked for, img_u8 [M, 3, R, R]."""
    num_rendered: int
    """Pictures that were rendered for this set."""


def rendered_together(resolution: int, batch_size: int) -> int:
    """Pictures that `render` computes at once while memory lasts: the last bits of each depend on which they are."""
    return max(1, min(batch_size, PIXELS_AT_ONCE // resolution**2))


def sample_set(domain: Domain, identity: str, warm: WarmModels, num_kept: int) -> SampleSet:
    """Render what is not known yet, batch by batch, embed what is judged and keep what is shown.

    Args:
        domain: whose pictures.
        identity: equal for equal pictures of the same latents, by the same code.
        warm: the judge, its latents and the settings.
        num_kept: pictures to keep.

    Raises:
        OutOfMemoryError: not even one picture fits.
    """
    params, ws = warm.params, warm.ws
    together = rendered_together(domain.resolution, params.judge.batch_size)
    shown: dict[int, Tensor] = {}
    rendered = 0

    def pictures(start: int, end: int) -> Iterator[Tensor]:
        """From the first of a group on, so that each is rendered in the same company as ever."""
        nonlocal rendered
        for img_u8 in render(domain, ws[start:end], params.judge.batch_size):
            for place in range(start, min(start + len(img_u8), num_kept)):
                shown[place] = img_u8[place - start]
            start += len(img_u8)
            rendered += len(img_u8)
            yield img_u8

    about = f"{identity}, psi {params.samples.truncation_psi!r}, {evaluation_code(warm.family_module)}"
    features = sample_features(about, warm.judge, params.judge.num_images, together, pictures)
    for first in range(0, num_kept, together):
        if any(place not in shown for place in range(first, min(first + together, num_kept))):
            list(pictures(first, first + together))
    return SampleSet(features, torch.stack([shown[place] for place in range(num_kept)]), rendered)
