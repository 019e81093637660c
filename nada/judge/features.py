"""Features of image sets, computed once per set; every score is computed from these arrays.

Legend: N batch, M images of a set, D feature width, S structure width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nada.errors import ShapeError
from nada.images import from_u8
from nada.judge.structure import structure_features
from nada.memory import MicroBatch

Features = NDArray[np.float64]
FINGERPRINT_DIGITS = 12  # enough to tell weights apart, short enough to read


class Embedder(Protocol):
    """What judging needs of a CLIP; `nada.guide.ClipModel` is one."""

    @property
    def name(self) -> str:
        """Architecture, as open_clip lists it."""

    @property
    def fingerprint(self) -> str:
        """Hexadecimal sha256 of the weights."""

    @property
    def resizing(self) -> str:
        """How images reach the model's size, in words."""

    def embed_images(self, img: Tensor) -> Tensor:
        """[N, 3, H, W] in [-1, 1] -> emb [N, D], unit norm."""

    def class_embedding(self, prompt: str) -> Tensor:
        """Mean embedding of the templated prompt, [D], unit norm."""

    def text_direction(self, source: str, target: str) -> Tensor:
        """Direction from the source prompt to the target prompt, [D], unit norm."""


@dataclass(frozen=True, kw_only=True)
class SetFeatures:
    """One image set in every feature space; row i of each array is image i."""

    emb: Features
    """CLIP embeddings, [M, D], unit norm."""
    structure: Features
    """`structure_features`, [M, S]."""

    def __len__(self) -> int:
        return len(self.emb)

    @classmethod
    def joined(cls, parts: Sequence[SetFeatures]) -> SetFeatures:
        """Batches of one set, in order."""
        return cls(
            emb=np.concatenate([part.emb for part in parts]),
            structure=np.concatenate([part.structure for part in parts]),
        )


def set_features(clip: Embedder, img_u8: Tensor, batch_size: int, device: str = "cpu") -> SetFeatures:
    """Every feature of an image set.

    Args:
        clip: the judge.
        img_u8: [M, 3, H, W] bytes.
        batch_size: images per forward pass.
        device: where the judge's weights are.

    Raises:
        ShapeError: no images, or a batch size below one.
    """
    emb = embed_images_batched(clip, img_u8, batch_size, device)
    return SetFeatures(emb=emb, structure=structure_features(img_u8))


def network_name(clip: Embedder) -> str:
    """The feature network as scores name it: architecture, and the first digits of its weights' sha256."""
    return f"{clip.name}@{clip.fingerprint[:FINGERPRINT_DIGITS]}"


@torch.no_grad()
def embed_images_batched(clip: Embedder, img_u8: Tensor, batch_size: int, device: str = "cpu") -> Features:
    """CLIP embeddings of a whole image set.

    Args:
        clip: the judge.
        img_u8: [M, 3, H, W] bytes.
        batch_size: images per forward pass; half as many from where memory runs out.
        device: where the judge's weights are.

    Returns:
        [M, D] float64, unit norm.

    Raises:
        ShapeError: no images, or a batch size below one.
        OutOfMemoryError: not even one image fits.
    """
    if img_u8.shape[0] == 0 or batch_size < 1:
        raise ShapeError(f"{img_u8.shape[0]} images in batches of {batch_size}; needs at least one of each")

    def embed(part: slice) -> Tensor:
        return clip.embed_images(from_u8(img_u8[part].to(device))).double().cpu()

    batches = list(MicroBatch(batch_size).each("judging", img_u8.shape[0], embed))
    return unit(torch.cat(batches).numpy())


def unit(emb_raw: Features) -> Features:
    """Rows of [M, D] (or one vector [D]) divided by their norm, in float64; a zero row stays zero."""
    emb_raw = np.asarray(emb_raw, dtype=np.float64)
    norm = np.linalg.norm(emb_raw, axis=-1, keepdims=True)
    return emb_raw / np.where(norm > 0, norm, 1.0)
