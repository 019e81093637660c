"""The rendered portraits as tensors: one index per attribute, and pictures in [-1, 1].

Legend: N portraits, A attributes, K classes of all attributes together, H W pixels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SIZE_PX = 64
ATTRIBUTES = (
    "primaryBackgroundColor",
    "hair",
    "hairColor",
    "skinColor",
    "eyes",
    "mouth",
    "nose",
    "frontHair",
    "face",
    "ear",
)
FINE_ATTRIBUTES = ("eyes", "mouth", "nose")  # small on the picture, large to the eye


@dataclass(frozen=True)
class Classes:
    """The classes of each attribute, in one row of K columns."""

    names: tuple[tuple[str, ...], ...]
    """Per attribute, its classes in alphabetical order."""

    @property
    def sizes(self) -> list[int]:
        """Number of classes per attribute."""
        return [len(names) for names in self.names]

    @property
    def offsets(self) -> list[int]:
        """First column of each attribute."""
        return [sum(self.sizes[:i]) for i in range(len(self.sizes))]


@dataclass(frozen=True)
class Portraits:
    """Rendered pictures with their attributes."""

    img_u8: Tensor
    """[N, H, W, 3] bytes."""
    columns: Tensor
    """[N, A], the column of each portrait's class of each attribute."""
    classes: Classes

    def __len__(self) -> int:
        return len(self.columns)

    def images(self, index: Tensor) -> Tensor:
        """Pictures of some portraits, [n, 3, H, W] in [-1, 1]."""
        return self.img_u8[index].permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    def split(self, num_held_out: int) -> tuple[Portraits, Portraits]:
        """All but the last `num_held_out`, and those."""
        cut = len(self) - num_held_out
        first = Portraits(self.img_u8[:cut], self.columns[:cut], self.classes)
        return first, Portraits(self.img_u8[cut:], self.columns[cut:], self.classes)


def load_portraits(path: Path) -> Portraits:
    """Read `path`.rgb and `path`.jsonl as `render.mjs` writes them."""
    lines = path.with_name(path.name + ".jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    names = tuple(tuple(sorted({row[key] for row in rows})) for key in ATTRIBUTES)
    classes = Classes(names)
    columns = [
        [offset + known.index(row[key]) for key, known, offset in zip(ATTRIBUTES, names, classes.offsets, strict=True)]
        for row in rows
    ]
    pixels = np.fromfile(path.with_name(path.name + ".rgb"), np.uint8)
    img_u8 = torch.from_numpy(pixels.reshape(len(rows), SIZE_PX, SIZE_PX, 3))
    return Portraits(img_u8, torch.tensor(columns), classes)


def detail_weights(portraits: Portraits, gain: float) -> Tensor:
    """How much a pixel counts, [1, 1, H, W], mean one: more where the small features are.

    The variance between the mean pictures of the classes of each of `FINE_ATTRIBUTES`, as its square root,
    relative to its largest value, times `gain`, plus one.
    """
    img = portraits.img_u8.float()
    variance = torch.zeros(SIZE_PX, SIZE_PX)
    for attribute in FINE_ATTRIBUTES:
        columns = portraits.columns[:, ATTRIBUTES.index(attribute)]
        means = torch.stack([img[columns == column].mean(dim=0) for column in columns.unique()])
        spread = means.var(dim=0).mean(dim=-1)
        variance = torch.maximum(variance, spread / spread.max())
    weights = 1 + gain * variance.sqrt()
    return (weights / weights.mean())[None, None]
