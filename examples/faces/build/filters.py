"""Styles as functions of a photograph: the true picture of every domain that a filter defines.

Every filter takes pictures [N, 3, H, W] in [0, 1] and a `Draw`, and returns pictures of the same shape. A `Draw`
without jitter gives the one true version; with jitter, sizes, strengths and colours vary from picture to picture.
"""

from __future__ import annotations

from collections.abc import Callable

import filters_drawn as drawn
import filters_toned as toned
import torch
from picture_tools import Draw
from torch import Tensor

Filter = Callable[[Tensor, Draw], Tensor]

FILTERS: dict[str, Filter] = {
    "pencil": drawn.pencil,
    "charcoal": drawn.charcoal,
    "ink": drawn.ink,
    "engraving": drawn.engraving,
    "watercolour": drawn.watercolour,
    "oil": drawn.oil,
    "pastel": drawn.pastel,
    "crayon": drawn.crayon,
    "cartoon": drawn.cartoon,
    "comic": drawn.comic,
    "halftone": drawn.halftone,
    "popart": drawn.popart,
    "poster": drawn.poster,
    "pixel": drawn.pixel,
    "mosaic": drawn.mosaic,
    "sepia": toned.sepia,
    "bw": toned.bw,
    "negative": toned.negative,
    "neon": toned.neon,
    "thermal": toned.thermal,
    "night": toned.night,
    "nightvision": toned.nightvision,
    "blueprint": drawn.blueprint,
    "chalk": drawn.chalk,
    "stone": toned.stone,
    "statue": toned.statue,
    "bronze": toned.bronze,
    "zombie": toned.zombie,
    "stained": drawn.stained,
    "blue": toned.blue,
    "red": toned.red,
    "green": toned.green,
    "golden": toned.golden,
    "faded": toned.faded,
    "glitch": toned.glitch,
}
"""In this order, which the training's random draws depend on."""


def apply(name: str, img: Tensor, rng: torch.Generator, jitter: float = 0.0) -> Tensor:
    """Pictures [N, 3, H, W] in [0, 1] in a style of `FILTERS`."""
    return FILTERS[name](img, Draw(len(img), img.shape[-1], rng, jitter)).clamp(0, 1)
