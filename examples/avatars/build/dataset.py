"""Batches for the CLIPs: portraits, filtered and damaged portraits, and their captions.

A batch of 4 x QUARTER images: QUARTER untouched source portraits, the same portraits under a filter each, and twice
as many others of any style, some filtered, some damaged. Damages (blur, noise, ...) are what a generator does when
it flatters a guide; naming them teaches the guide that they are not the target.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from captions import PLAIN, ScoreInfo, Seen, describe, details_of, kind_of
from filters import FILTERS, Floats, Images, _blur
from near_misses import closeness, near_miss
from negatives import BROKEN, miscoloured
from numpy.typing import NDArray
from styles import NUM_TRAIN, SOURCE_STYLE, load_attributes, load_images
from torch import Tensor
from torch.nn import functional as F

from nada.clip.templates import fill

FILTERED_SHARE, DAMAGED_SHARE, SOURCE_SHARE = 0.25, 0.15, 0.4
"""Shares of the other images that are filtered, damaged, and damaged portraits of the source style."""

DAMAGES = ("blurred", "noisy", "faded", "warped", "stained", "tinted", "miscoloured", "miscoloured", BROKEN, BROKEN)


@dataclass(frozen=True)
class Batch:
    """img_u8 [N, 3, 64, 64] bytes, and for each image what is true of it, its caption and the caption's meaning.

    `near` [QUARTER, 3, 64, 64] in [-1, 1] holds one near miss of each filtered portrait, `near_scores` how near.
    """

    img_u8: Tensor
    near: Tensor
    near_scores: Tensor
    seen: list[Seen]
    texts: list[str]
    meanings: list[ScoreInfo]


def damage(image: Images, kind: str, rng: np.random.Generator) -> Images:
    """One image [64, 64, 3] spoiled in one of the ways of DAMAGES."""
    values: Floats = image.astype(np.float32)
    if kind == "blurred":
        values = _blur(values.transpose(2, 0, 1), passes=int(rng.integers(3, 12))).transpose(1, 2, 0)
    elif kind == "noisy":
        values = values + rng.normal(0, rng.uniform(25, 60), values.shape).astype(np.float32)
    elif kind == "faded":
        amount, tone = rng.uniform(0.5, 0.85), rng.uniform(60, 255)
        values = (1 - amount) * values + np.float32(amount * tone)
    elif kind == "warped":
        shift = _field(rng, 2) * rng.uniform(5, 11)
        rows, columns = np.mgrid[0:64, 0:64]
        source = [np.clip(np.rint(g + shift[..., i]), 0, 63).astype(int) for i, g in enumerate((rows, columns))]
        values = values[source[0], source[1]]
    elif kind == "stained":
        cover = np.clip(_field(rng, 1) * 1.2, 0, 0.9)
        values = (1 - cover) * values + cover * rng.uniform(0, 255, 3).astype(np.float32)
    elif kind == "miscoloured":
        values = miscoloured(values, rng)
    else:
        values = values * rng.uniform(0.5, 1.3, 3).astype(np.float32) + rng.uniform(-50, 50, 3).astype(np.float32)
    return np.clip(values, 0, 255).astype(np.uint8)


def _field(rng: np.random.Generator, channels: int) -> Floats:
    """A smooth random field of about unit size, [64, 64, channels]."""
    coarse = rng.normal(0, 1, (channels, int(rng.integers(4, 10)), int(rng.integers(4, 10))))
    full = F.interpolate(torch.from_numpy(coarse)[None].float(), size=(64, 64), mode="bicubic")[0]
    field: Floats = full.permute(1, 2, 0).numpy()
    return field


class Batches:
    """An endless, seeded stream of batches of 4 x `quarter` images."""

    def __init__(self, data_path: Path, quarter: int, seed: int) -> None:
        self.images = {style: load_images(style, data_path) for style in NUM_TRAIN}
        self.images[BROKEN] = load_images(BROKEN, data_path)
        self.others = [style for style in NUM_TRAIN if style != SOURCE_STYLE]
        self.attributes = load_attributes(SOURCE_STYLE, data_path)
        self.quarter = quarter
        self.rng = np.random.default_rng(seed)

    def _choose(self, style: str, count: int) -> Images:
        images = self.images[style]
        chosen: Images = images[np.sort(self.rng.choice(len(images), count, replace=False))]
        return chosen

    def _other(self) -> tuple[NDArray[np.uint8], str, str]:
        rng = self.rng
        in_source = rng.random() < SOURCE_SHARE
        style = SOURCE_STYLE if in_source else self.others[int(rng.integers(len(self.others)))]
        image = self._choose(style, 1)
        draw = rng.random()
        if draw < DAMAGED_SHARE or in_source:
            treatment = DAMAGES[int(rng.integers(len(DAMAGES)))]
            if treatment == BROKEN:
                return self._choose(BROKEN, 1)[0], SOURCE_STYLE, BROKEN
            return damage(image[0], treatment, rng), style, treatment
        if draw < DAMAGED_SHARE + FILTERED_SHARE:
            treatment = list(FILTERS)[int(rng.integers(len(FILTERS)))]
            return FILTERS[treatment](image)[0], style, treatment
        return image[0], style, PLAIN

    def draw(self) -> Batch:
        chosen = self.rng.choice(len(self.attributes), self.quarter, replace=False)
        plain = self.images[SOURCE_STYLE][chosen]
        names = [list(FILTERS)[int(i)] for i in self.rng.integers(len(FILTERS), size=self.quarter)]
        edited = np.stack([FILTERS[n](plain[i : i + 1])[0] for i, n in enumerate(names)])
        others = [self._other() for _ in range(2 * self.quarter)]
        seen = []
        for treatments in ([PLAIN] * self.quarter, names):
            for i, treatment in zip(chosen, treatments, strict=True):
                details = details_of(self.attributes[int(i)], treatment)
                seen.append(Seen(kind_of(SOURCE_STYLE), treatment, details))
        seen += [Seen(kind_of(style), treatment) for _, style, treatment in others]
        described = [describe(image, self.rng) for image in seen]
        texts = [str(self.rng.choice(fill(words))) for words, _ in described]
        img_u8 = np.concatenate([plain, edited, np.stack([image for image, _, _ in others])])
        pixels = torch.from_numpy(img_u8).permute(0, 3, 1, 2)
        source, truth = (p.float() / 127.5 - 1 for p in pixels[: 2 * self.quarter].chunk(2))
        near = torch.stack([near_miss(x, y, self.rng) for x, y in zip(source, truth, strict=True)])
        return Batch(pixels, near, closeness(near, source, truth), seen, texts, [meaning for _, meaning in described])


def augment(img: Tensor, rng: torch.Generator, crop: float = 0.78, noise: float = 0.06) -> Tensor:
    """Independent views of images in [-1, 1], [N, C, H, W]: crop and resize, mirror, pixel noise."""
    count = len(img)
    scale = crop + (1 - crop) * torch.rand(count, generator=rng)
    offset = (1 - scale)[:, None] * (2 * torch.rand(count, 2, generator=rng) - 1)
    mirror = torch.where(torch.rand(count, generator=rng) < 0.5, -1.0, 1.0)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = scale * mirror, scale
    theta[:, :, 2] = offset
    grid = F.affine_grid(theta, list(img.shape), align_corners=False)
    views = F.grid_sample(img, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    level = noise * torch.rand(count, 1, 1, 1, generator=rng)
    return views + level * torch.randn(views.shape, generator=rng)
