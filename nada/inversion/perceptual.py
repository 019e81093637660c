"""How far a picture is from another as eyes see it, differentiably: by LPIPS where its weights are, or by a CLIP.

Each distance is the squared distance of two vectors of features, so that the photo passes the network once.
Legend: N batch, F features, C channels, T tokens, H W pixels, R resolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.clip.model import ClipModel
from nada.inversion.tower import seen, tower_levels
from nada.judge.spaces import FINGERPRINT_DIGITS
from nada.judge.spaces.lpips import EPSILON, LPIPS_SCALE, LPIPS_SHIFT, Lpips

LPIPS_LOSS_PX = 256  # at most: the published inversion compares at this size
LEAST_PX = 8  # of the pyramid of pixels
PIXEL_WEIGHT = 1.0  # of the mean squared difference at each size of the pyramid


class Perceptual(Protocol):
    """A network that compares."""

    name: str
    """For the record: which network, by its weights, at which size."""

    def features(self, img: Tensor) -> Tensor:
        """[N, 3, R, R] in [-1, 1] -> [N, F]; the distance of two pictures is that of their features, squared."""


def distance(features: Tensor, target: Tensor) -> Tensor:
    """Mean over N of the squared distances of [N, F] and [N, F] or [1, F]."""
    return (features - target).square().sum(dim=1).mean()


class LpipsFeatures:
    """LPIPS (arXiv:1801.03924), version 0.1 on VGG-16."""

    def __init__(self, lpips: Lpips) -> None:
        self.lpips = lpips
        self.name = f"{lpips.name} at {LPIPS_LOSS_PX} px"

    def features(self, img: Tensor) -> Tensor:
        """Unit vectors at every place of every stage, weighted so that their squared distance is LPIPS."""
        x = F.interpolate(img, size=(LPIPS_LOSS_PX, LPIPS_LOSS_PX), mode="area") if _is_large(img) else img
        shift, scale = (torch.tensor(v, device=img.device)[:, None, None] for v in (LPIPS_SHIFT, LPIPS_SCALE))
        x = (x - shift) / scale
        columns = []
        for stage, head in zip(self.lpips.stages, self.lpips.heads, strict=True):
            x = stage(x)
            unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + EPSILON)
            columns.append((unit * (head[:, None, None].clamp(min=0) / (x.shape[2] * x.shape[3])).sqrt()).flatten(1))
        return torch.cat(columns, dim=1)


class ClipFeatures:
    """The image tower of a CLIP at several levels, and the pixels at every size: where LPIPS is not there.

    A CLIP forgets where edges lie exactly, which pixels know, and pixels alone blur what they are unsure of.
    """

    def __init__(self, clip: ClipModel) -> None:
        self.clip = clip
        self.levels = tower_levels(clip.visual)
        self.name = (
            f"{clip.name}@{clip.fingerprint[:FINGERPRINT_DIGITS]}, {len(self.levels)} levels of its image tower at "
            f"{clip.image_size} px, and pixels at every size from {LEAST_PX} px"
        )

    def features(self, img: Tensor) -> Tensor:
        """Unit vectors of each level, a mean over its places, and the pyramid of pixels."""
        with seen(self.levels) as outputs:
            self.clip.embed_images(img)
        columns = [_unit(output) / math.sqrt(len(outputs)) for output in outputs]
        return torch.cat([*columns, *pyramid(img)], dim=1)


def pyramid(img: Tensor) -> Iterator[Tensor]:
    """[N, 3, R, R] and its halvings down to LEAST_PX; the squared distance of two is the weighted sum of the mean
    squared differences, the mean of all sizes.
    """
    sizes = [img]
    while sizes[-1].shape[2] >= 2 * LEAST_PX:
        sizes.append(F.avg_pool2d(sizes[-1], 2))
    for size in sizes:
        yield size.flatten(1) * math.sqrt(PIXEL_WEIGHT / (len(sizes) * size[0].numel()))


def _unit(output: Tensor) -> Tensor:
    """[N, C, H, W] or [N, T, C] -> [N, F]: unit vectors of C, whose squared distance is the mean over the places."""
    dim = 1 if output.ndim == 4 else -1
    places = output[0].numel() // output.shape[dim]
    return (F.normalize(output, dim=dim) / math.sqrt(places)).flatten(1)


def _is_large(img: Tensor) -> bool:
    return img.shape[2] > LPIPS_LOSS_PX
