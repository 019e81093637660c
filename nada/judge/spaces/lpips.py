"""LPIPS on VGG-16, for distances within groups. Legend: N batch, K images compared in pairs, C channels, H W pixels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nada.errors import CheckpointError
from nada.judge.spaces import FINGERPRINT_DIGITS

VGG_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of VGG-16's convolutions; between stages the image is halved, and each stage's end is compared."""
VGG_INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # of those convolutions in torchvision's VGG-16
LPIPS_PX = 128  # side at which images are compared: a quarter of the cost of 256
LPIPS_SHIFT = (-0.030, -0.088, -0.188)  # of images in [-1, 1], as LPIPS was trained
LPIPS_SCALE = (0.458, 0.448, 0.450)
EPSILON = 1e-10  # added to the norm of a feature vector, as LPIPS does


class Lpips(nn.Module):
    """The perceptual distance of Zhang et al. 2018 (arXiv:1801.03924), version 0.1 on VGG-16."""

    resizing = f"area average to {LPIPS_PX} px"

    def __init__(
        self, vgg: Mapping[str, Tensor], heads: Mapping[str, Tensor], fingerprint: str, device: str = "cpu"
    ) -> None:
        """Build the network.

        Args:
            vgg: torchvision's VGG-16.
            heads: the published weights of the channels.
            fingerprint: hexadecimal sha256 over both files.
            device: where to compute.

        Raises:
            CheckpointError: weights of other networks.
        """
        super().__init__()
        self.name = f"LPIPS-VGG16@{fingerprint[:FINGERPRINT_DIGITS]}"
        self.fingerprint = fingerprint
        self.stages = nn.ModuleList()
        before = 3
        for index, widths in enumerate(VGG_STAGES):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if index else []
            for width in widths:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            self.stages.append(nn.Sequential(*layers))
        self.heads = nn.ParameterList([torch.zeros(widths[-1]) for widths in VGG_STAGES])
        convs = [layer for layer in self.modules() if isinstance(layer, nn.Conv2d)]
        for conv, place in zip(convs, VGG_INDICES, strict=True):
            for kind in ("weight", "bias"):
                _fill(getattr(conv, kind), vgg, f"features.{place}.{kind}")
        for index, head in enumerate(self.heads):
            _fill(head[None, :, None, None], heads, f"lin{index}.model.1.weight")
        self.eval().requires_grad_(False).to(device)

    @staticmethod
    def shrink(img_u8: Tensor) -> NDArray[np.uint8]:
        """[N, 3, H, W] bytes -> [N, 3, LPIPS_PX, LPIPS_PX] bytes, for `distances`."""
        shrunken = F.interpolate(img_u8.float(), size=(LPIPS_PX, LPIPS_PX), mode="area")
        return np.asarray(shrunken.round().clamp(0, 255).to(torch.uint8).cpu().numpy())

    @torch.no_grad()
    def distances(self, img_u8: NDArray[np.uint8]) -> NDArray[np.float64]:
        """LPIPS of every pair of images [K, 3, H, W], as [K, K] with a zero diagonal.

        LPIPS sums weighted squared differences of normalised features, so all pairs follow from one product a stage
        and every image passes the network once.
        """
        device = next(self.parameters()).device
        x = torch.from_numpy(img_u8).to(device).float() / 127.5 - 1
        shift, scale = (torch.tensor(v, device=device)[:, None, None] for v in (LPIPS_SHIFT, LPIPS_SCALE))
        x = (x - shift) / scale
        total = torch.zeros(len(x), len(x), dtype=torch.float64, device=device)
        for stage, head in zip(self.stages, self.heads, strict=True):
            x = stage(x)
            unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + EPSILON)
            weighted = unit * head[:, None, None] / (x.shape[2] * x.shape[3])
            gram = (weighted.flatten(1) @ unit.flatten(1).T).double()
            total += gram.diagonal()[:, None] + gram.diagonal()[None, :] - gram - gram.T
        total.fill_diagonal_(0)
        return np.asarray(total.clamp(min=0).cpu().numpy(), dtype=np.float64)


def _fill(parameter: Tensor, state: Mapping[str, Tensor], name: str) -> None:
    """Copy a tensor of a file into a parameter (or a view of one) of the same shape."""
    found = state.get(name)
    if found is None or found.shape != parameter.shape:
        shape = "is missing" if found is None else f"has shape {list(found.shape)}"
        raise CheckpointError(f"{name} {shape}; expected {list(parameter.shape)}")
    parameter.data.copy_(found)
