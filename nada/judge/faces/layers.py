"""Layers as TensorFlow computes them; `at` is where a layer's tensors begin.

Legend: N batch, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from nada.errors import CheckpointError

State = Mapping[str, Tensor]
MEAN_RGB = (122.782, 117.001, 104.298)


def fetch(state: State, name: str) -> Tensor:
    """One tensor.

    Raises:
        CheckpointError: it is not there.
    """
    if name not in state:
        raise CheckpointError(f"no tensor '{name}'; expected the networks of face-api")
    return state[name]


def same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """Padding SAME: as many outputs as strides begin within the side, the odd pixel at the right and below."""
    pads = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in (x.shape[3], x.shape[2])]
    (left, right), (top, below) = ((pad // 2, pad - pad // 2) for pad in pads)
    return F.pad(x, (left, right, top, below), value=value)


def conv(x: Tensor, state: State, at: str, stride: int = 1) -> Tensor:
    """A convolution with bias, padding SAME: [N, C, H, W] -> [N, C', H / stride, W / stride]."""
    filters = fetch(state, f"{at}/filters")
    return F.conv2d(same(x, filters.shape[2], stride), filters, fetch(state, f"{at}/bias"), stride)


def separable_conv(x: Tensor, state: State, at: str, stride: int = 1) -> Tensor:
    """A filter for each channel, then sums over channels, with bias, padding SAME."""
    depthwise, pointwise = fetch(state, f"{at}/depthwise_filter"), fetch(state, f"{at}/pointwise_filter")
    x = F.conv2d(same(x, depthwise.shape[2], stride), depthwise, stride=stride, groups=x.shape[1])
    return F.conv2d(x, pointwise, fetch(state, f"{at}/bias"))


def max_pool(x: Tensor) -> Tensor:
    """The largest of 3x3, every second pixel, padding SAME."""
    return F.max_pool2d(same(x, 3, 2, float("-inf")), 3, 2)


def dense(x: Tensor, state: State, at: str) -> Tensor:
    """[N, C] -> [N, C']."""
    return x @ fetch(state, f"{at}/weights") + fetch(state, f"{at}/bias")


def normalised(img: Tensor) -> Tensor:
    """Levels [N, 3, H, W] in [0, 255] less the mean, over 255."""
    return (img - img.new_tensor(MEAN_RGB)[:, None, None]) / 255
