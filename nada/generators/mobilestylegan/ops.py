"""Primitive operations of MobileStyleGAN (arXiv:2104.04767), in plain PyTorch.

Legend: N batch, I and O input and output channels, C channels, H W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.generators.lean_ops import scaled_conv

LRELU_SLOPE = 0.2
WAVELETS = 4  # numbers that the inverse transform makes four pixels of: a low one and three details,
DETAILS = 3  # the differences of rows, of columns, and of diagonals


def inverse_haar(x: Tensor) -> Tensor:
    """One level of the inverse Haar wavelet transform, [N, 4C, H, W] -> [N, C, 2H, 2W]; it keeps the norm.

    The first C channels are low, the others the three details of each in turn.
    """
    channels = x.shape[1] // WAVELETS
    low, details = x[:, :channels], x[:, channels:].reshape(len(x), channels, DETAILS, *x.shape[2:])
    rows, columns, diagonals = details.unbind(dim=2)
    upper, lower = low + rows, low - rows
    left, right = columns + diagonals, columns - diagonals
    corners = torch.stack([upper + left, upper - left, lower + right, lower - right], dim=2)  # [N, C, 4, H, W]
    return F.pixel_shuffle(corners.flatten(1, 2) / 2, 2)


def separable_conv(x: Tensor, styles: Tensor, depthwise: Tensor, pointwise: Tensor) -> Tensor:
    """A 3x3 filter a channel, then a modulated 1x1 convolution, [N, I, H, W] -> [N, O, H, W].

    Both scale channel by channel, so scaling between the two is scaling ahead of both, and keeps less in memory.

    Args:
        x: [N, I, H, W].
        styles: [N, I].
        depthwise: [I, 1, 3, 3].
        pointwise: [O, I, 1, 1].
    """
    return scaled_conv(F.conv2d(x, depthwise, padding=1, groups=x.shape[1]), styles, pointwise)
