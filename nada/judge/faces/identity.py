"""Who a face is: dlib's residual network of 29 layers, as face-api keeps it. Legend: N batch, C channels, H W pixels.

Descriptors of one person are nearer than 0.6 to each other, those of two are mostly further (King 2017, dlib).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.judge.faces.layers import State, fetch, normalised

FILE = "face_recognition_model"
SIDE_PX = 150
WIDTH = 128
STAGES = (("conv32", (1, 2, 3)), ("conv64", (1, 2, 3)), ("conv128", (1, 2)), ("conv256", (1, 2)))


def descriptors(state: State, img: Tensor) -> Tensor:
    """Faces [N, 3, 150, 150] of levels in [0, 255] -> [N, 128], not normalised."""
    x = _conv(normalised(img), state, "conv32_down", stride=2, padding=0).relu()
    x = F.max_pool2d(x, 3, 2)
    for stage, blocks in STAGES:
        x = x if stage == "conv32" else _down(x, state, f"{stage}_down")
        for block in blocks:
            inner = _conv(x, state, f"{stage}_{block}/conv1").relu()
            x = (_conv(inner, state, f"{stage}_{block}/conv2") + x).relu()
    return _down(x, state, "conv256_down_out").mean(dim=(2, 3)) @ fetch(state, "fc")


def _conv(x: Tensor, state: State, at: str, stride: int = 1, padding: int | None = None) -> Tensor:
    """A convolution with bias, then each channel's own factor and offset."""
    filters = fetch(state, f"{at}/conv/filters")
    x = F.conv2d(
        x, filters, fetch(state, f"{at}/conv/bias"), stride, filters.shape[2] // 2 if padding is None else padding
    )
    return x * fetch(state, f"{at}/scale/weights")[:, None, None] + fetch(state, f"{at}/scale/biases")[:, None, None]


def _down(x: Tensor, state: State, at: str) -> Tensor:
    """Half the side, and often more channels: what is missing beside the mean of what came in is zero."""
    out = _conv(_conv(x, state, f"{at}/conv1", stride=2, padding=0).relu(), state, f"{at}/conv2")
    pooled = F.avg_pool2d(x, 2, 2)
    out = F.pad(out, (0, pooled.shape[3] - out.shape[3], 0, pooled.shape[2] - out.shape[2]))
    missing = out.new_zeros(len(out), out.shape[1] - pooled.shape[1], *pooled.shape[2:])
    return (torch.cat([pooled, missing], dim=1) + out).relu()
