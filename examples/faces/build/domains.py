"""The domains that a filter defines, each with its target prompt; true pictures are the filter of the source's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from filters import apply
from torch import Tensor

SOURCE_PROMPT = "photo"
TRUTH_SEED = 0
"""Of grain, strokes and veins, so that equal pictures have equal truths."""


@dataclass(frozen=True)
class Domain:
    """A row of the night: its slug, its target prompt, and its filter."""

    slug: str
    target: str
    style: str


DOMAINS = (
    Domain("pencil-sketch", "pencil sketch", "pencil"),
    Domain("charcoal", "charcoal drawing", "charcoal"),
    Domain("ink-drawing", "ink drawing", "ink"),
    Domain("engraving", "copper engraving", "engraving"),
    Domain("watercolour", "watercolour painting", "watercolour"),
    Domain("oil-painting", "oil painting", "oil"),
    Domain("pastel", "pastel drawing", "pastel"),
    Domain("crayon", "wax crayon drawing", "crayon"),
    Domain("cartoon", "cartoon", "cartoon"),
    Domain("comic", "comic book", "comic"),
    Domain("halftone", "halftone print", "halftone"),
    Domain("pop-art", "pop art", "popart"),
    Domain("campaign-poster", "political campaign poster", "poster"),
    Domain("pixel-art", "pixel art", "pixel"),
    Domain("mosaic", "mosaic", "mosaic"),
    Domain("sepia", "sepia photo", "sepia"),
    Domain("black-and-white", "black and white photo", "bw"),
    Domain("negative", "photo negative", "negative"),
    Domain("neon", "neon lights", "neon"),
    Domain("thermal", "thermal camera image", "thermal"),
    Domain("night", "picture at night", "night"),
    Domain("night-vision", "night vision image", "nightvision"),
    Domain("blueprint", "blueprint", "blueprint"),
    Domain("chalk", "chalk on a blackboard", "chalk"),
    Domain("stone", "stone relief", "stone"),
    Domain("statue", "marble statue", "statue"),
    Domain("bronze", "bronze statue", "bronze"),
    Domain("zombie", "zombie", "zombie"),
    Domain("stained-glass", "stained glass window", "stained"),
    Domain("blue", "blue portrait", "blue"),
    Domain("red", "red portrait", "red"),
    Domain("green", "green portrait", "green"),
    Domain("golden-hour", "golden hour", "golden"),
    Domain("faded", "faded photo", "faded"),
    Domain("glitch", "glitch art", "glitch"),
)


def true_pictures(style: str, img_u8: Tensor) -> Tensor:
    """What a style truly makes of the source's pictures, both [N, 3, H, W] bytes.

    Pictures are filtered one by one, so that each has the same truth among any others.
    """
    made = [apply(style, one[None].float() / 255, torch.Generator().manual_seed(TRUTH_SEED)) for one in img_u8]
    return (torch.cat(made) * 255).round().byte()
