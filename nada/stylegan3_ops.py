"""Primitive operations of StyleGAN3 (arXiv:2106.12423), in plain PyTorch.

Legend: N batch, I and O input and output channels, C channels, H W pixels, K kernel width, T filter taps.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nada.stylegan2_ops import LRELU_GAIN, LRELU_SLOPE, demodulation


def modulated_conv(x: Tensor, weight: Tensor, styles: Tensor, input_gain: Tensor, demodulate: bool) -> Tensor:
    """Convolution whose weights are scaled per sample by `styles`, [N, I, H, W] -> [N, O, H + K - 1, W + K - 1].

    The reference first normalises weights and styles; that cancels in the demodulation and guards float16 alone.

    Args:
        x: [N, I, H, W].
        weight: [O, I, K, K], shared by the batch.
        styles: [N, I].
        input_gain: [], what brings the input to unit variance.
        demodulate: divide by the expected standard deviation of the output.
    """
    gain = input_gain * demodulation(weight, styles) if demodulate else input_gain.expand(len(styles), len(weight))
    x = F.conv2d(x * styles[:, :, None, None], weight, padding=weight.shape[-1] - 1)
    return x * gain[:, :, None, None]


def filtered_leaky_relu(
    x: Tensor, bias: Tensor, up_filter: Tensor, down_filter: Tensor, up: int, down: int, size: int, clamp: float | None
) -> Tensor:
    """Leaky ReLU at a higher sampling rate, so that the frequencies that it adds can be removed (section 3.1).

    Bias, upsampling by `up`, leaky ReLU with gain and clamp, downsampling by `down`; the surplus pixels that the
    filters leave at the borders are cropped.

    Args:
        x: [N, C, H, H].
        bias: [C].
        up_filter: [T], separable.
        down_filter: [T], separable, or [T, T].
        up: factor of the first filter.
        down: factor of the second filter.
        size: pixels of a side of the result.
        clamp: largest magnitude after the leaky ReLU.

    Returns:
        [N, C, size, size].
    """
    channels = x.shape[1]
    upsampled = (size - 1) * down + len(down_filter)  # pixels that the second filter needs
    crop = ((x.shape[-1] - 1) * up + len(up_filter) - upsampled) // 2
    x = x + bias[:, None, None]
    for axis in ((-1, 1), (1, -1)):
        kernel = (up_filter * up).view(axis).expand(channels, 1, *up_filter.view(axis).shape)
        at = axis.index(-1)
        stride, padding = [1, 1], [0, 0]
        stride[at], padding[at] = up, crop
        x = F.conv_transpose2d(x, kernel, stride=stride, padding=padding, groups=channels)
    x = F.leaky_relu(x, LRELU_SLOPE) * LRELU_GAIN
    if clamp is not None:
        x = x.clamp(-clamp, clamp)
    if down_filter.ndim == 2:
        return F.conv2d(x, down_filter.expand(channels, 1, -1, -1), stride=down, groups=channels)
    for axis in ((-1, 1), (1, -1)):
        kernel = down_filter.view(axis).expand(channels, 1, *down_filter.view(axis).shape)
        x = F.conv2d(x, kernel, stride=[down if n == -1 else 1 for n in axis], groups=channels)
    return x


def lowpass_filter(taps: int, cutoff: float, width: float, rate: float, radial: bool = False) -> Tensor:
    """A low-pass filter by windowing the ideal one with a Kaiser window (appendix C.1), its entries sum to one.

    Args:
        taps: T.
        cutoff: frequency that is halved, cycles per image.
        width: of the transition band, in the same unit.
        rate: sampling rate, in the same unit.
        radial: the radially symmetric filter whose ideal is a disc in the frequency plane, jinc.

    Returns:
        [T], or [T, T] if `radial`; float32.
    """
    beta = kaiser_beta(2.285 * (taps - 1) * math.pi * width / (rate / 2) + 7.95)
    window = np.kaiser(taps, beta)
    position = (np.arange(taps) - (taps - 1) / 2) / rate
    if radial:
        radius = np.hypot(position[:, None], position[None])
        jinc = torch.special.bessel_j1(torch.from_numpy(2 * math.pi * cutoff * radius)).numpy() / (math.pi * radius)
        ideal = jinc * np.outer(window, window)
    else:
        ideal = np.sinc(2 * cutoff * position) * window
    return torch.from_numpy((ideal / ideal.sum()).astype(np.float32))


def kaiser_beta(attenuation: float) -> float:
    """Shape of the Kaiser window for an attenuation in dB (Kaiser 1974, eq. 7.75 in Oppenheim and Schafer)."""
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return float(0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21))
    return 0.0
