"""Features of image sets, computed once per set; every score is computed from these arrays.

Legend: N batch, M images of a set, D feature width, S structure width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nada.errors import ShapeError
from nada.images import from_u8
from nada.judge.faces.network import Faces
from nada.judge.spaces import FINGERPRINT_DIGITS, colour
from nada.judge.spaces.efficientnet import EfficientNet
from nada.judge.spaces.inception import Inception
from nada.judge.spaces.lpips import Lpips
from nada.judge.spaces.structure import NAME as STRUCTURE_NAME
from nada.judge.spaces.structure import structure_features
from nada.micro_batch import MicroBatch

Features = NDArray[np.float64]
PIXELS_AT_ONCE = 1 << 20  # of images that are resized: one of 1024 px


class Embedder(Protocol):
    """What judging needs of a CLIP; `nada.clip.model.ClipModel` is one."""

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
    colour: Features
    """`colour_features`, [M, 28]."""
    inception: Features | None = None
    """Features of Inception v3, [M, 2048], where its weights are there."""
    efficientnet: Features | None = None
    """Features of EfficientNet-Lite2, [M, 1040], where its weights are there."""
    faces: Features | None = None
    """What networks of faces say of portraits, [M, 137], where their weights are there."""
    small_u8: NDArray[np.uint8] | None = None
    """The images at the size at which LPIPS compares them, [M, 3, R, R], where its weights are there."""

    def __len__(self) -> int:
        return len(self.emb)

    @classmethod
    def joined(cls, parts: Sequence[SetFeatures]) -> SetFeatures:
        """Batches of one set, in order."""
        columns = {name: [getattr(part, name) for part in parts] for name in vars(parts[0])}
        joined: dict[str, Any] = {name: None if of[0] is None else np.concatenate(of) for name, of in columns.items()}
        return cls(**joined)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The networks that score: a CLIP that did not guide, and whatever further ones have their weights here."""

    clip: Embedder
    inception: Inception | None = None
    efficientnet: EfficientNet | None = None
    faces: Faces | None = None
    lpips: Lpips | None = None
    batch_size: int = 50
    device: str = "cpu"

    def extractors(self) -> dict[str, Extractor]:
        """One for each array of `SetFeatures` that this judge fills."""
        found = {
            "emb": Extractor(f"{self.clip.name} {self.clip.fingerprint} {self.clip.resizing}", self._embed),
            "structure": Extractor(STRUCTURE_NAME, self._partly(structure_features)),
            "colour": Extractor(f"{colour.NAME}, {colour.RESIZING}", self._partly(colour.colour_features)),
        }
        networks = {"inception": self.inception, "efficientnet": self.efficientnet, "faces": self.faces}
        for name, network in networks.items():
            if network is not None:
                identity = f"{network.name} {network.fingerprint} {network.resizing}"
                found[name] = Extractor(identity, self._partly(network.features))
        if self.lpips is not None:
            found["small_u8"] = Extractor(f"pixels, {self.lpips.resizing}", self._partly(self.lpips.shrink))
        return found

    def features(self, img_u8: Tensor) -> SetFeatures:
        """Every feature of an image set, [M, 3, H, W] bytes.

        Raises:
            ShapeError: no images, or a batch size below one.
        """
        return SetFeatures(**{name: extractor.run(img_u8) for name, extractor in self.extractors().items()})

    def _embed(self, img_u8: Tensor) -> Features:
        return embed_images_batched(self.clip, img_u8, self.batch_size, self.device)

    def _partly(self, run: Callable[[Tensor], NDArray[Any]]) -> Callable[[Tensor], NDArray[Any]]:
        """The same function over parts of at most a batch and about a megapixel."""

        def over_parts(img_u8: Tensor) -> NDArray[Any]:
            at_once = MicroBatch(max(1, min(self.batch_size, PIXELS_AT_ONCE // (img_u8.shape[2] * img_u8.shape[3]))))
            return np.concatenate(list(at_once.each("judging", img_u8.shape[0], lambda part: run(img_u8[part]))))

        return over_parts


@dataclass(frozen=True)
class Extractor:
    """From images to one array."""

    identity: str
    """Network, weights and resizing: equal identities give equal arrays."""
    run: Callable[[Tensor], NDArray[Any]]


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
