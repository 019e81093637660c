"""What every channel of the style space does to pictures in the eyes of one CLIP, as a file.

StyleCLIP (arXiv:2103.17249), section 6. Legend: K channels, D CLIP width.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nada.atomic import replacing
from nada.checkpoints.canonical import METADATA_KEY
from nada.errors import CheckpointError
from nada.hashing import sha256_tensors

UNREADABLE = (SafetensorError, OSError, ValueError, TypeError, KeyError)


@dataclass(frozen=True)
class Channels:
    """The channels of some layers of a generator's style space, in the order of `layers`."""

    layers: dict[str, int]
    """Name -> number of channels; K is their sum."""
    mean: Tensor
    """[K], over latents."""
    std: Tensor
    """[K], likewise."""
    relevance: Tensor
    """[K, D]: where in CLIP space pictures go when the channel is turned up; unit rows, zero where they stay."""

    def save(self, path: Path) -> None:
        """Write them, whole or not at all.

        Raises:
            OutputError: the folder cannot be written.
        """
        tensors = {name: getattr(self, name).cpu().contiguous() for name in ("mean", "std", "relevance")}
        header = {"layers": self.layers, "sha256": sha256_tensors(tensors)}
        with replacing(path) as partial:
            save_file(tensors, partial, {METADATA_KEY: json.dumps(header)})  # one entry: of several the order varies

    @classmethod
    def load(cls, path: Path) -> Channels:
        """Read them back, on the CPU.

        Raises:
            CheckpointError: the file is missing, or not the one that was written.
        """
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in ("mean", "std", "relevance")}
                header = json.loads(file.metadata()[METADATA_KEY])
                layers, sha256 = header["layers"], header["sha256"]
        except UNREADABLE as err:
            raise CheckpointError(f"{path}: no statistics of channels ({err})") from err
        if sha256 != sha256_tensors(tensors):
            raise CheckpointError(f"{path}: statistics of channels that are damaged; remove the file")
        return cls(layers, **tensors)

    def split(self, values: Tensor) -> dict[str, Tensor]:
        """[K] -> by the name of its layer, [C]."""
        return dict(zip(self.layers, torch.split(values, list(self.layers.values())), strict=True))
