"""Primitive operations of StyleGAN3 (arXiv:2106.12423), in plain PyTorch.

Legend: N batch, I and O input and output channels, C channels, H W pixels, K kernel width, T filter taps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nada.generators.lean_ops import in_full, scaled_conv
from nada.generators.stylegan2_ops import LRELU_GAIN, LRELU_SLOPE, demodulation

STEEP = round(1 / LRELU_SLOPE)  # the upper slope in units of the lower: 1 and 5 fit a byte


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
    x = scaled_conv(x, styles, weight, padding=weight.shape[-1] - 1)
    return x * gain[:, :, None, None]


@dataclass(frozen=True)
class Rates:
    """How a filtered leaky ReLU resamples."""

    up: int
    """Factor before the leaky ReLU."""
    down: int
    """Factor after it."""
    size: int
    """Pixels of a side of the result; what the filters leave beyond is cropped."""
    clamp: float | None
    """Largest magnitude after the leaky ReLU and its gain."""


def filtered_leaky_relu(x: Tensor, bias: Tensor, up_filter: Tensor, down_filter: Tensor, rates: Rates) -> Tensor:
    """Leaky ReLU at a higher sampling rate, so that the frequencies that it adds can be removed (section 3.1).

    Bias, upsampling, leaky ReLU with gain and clamp, downsampling. For the backward pass one byte a pixel is kept
    at the higher rate; the reference's kernel does likewise.

    Args:
        x: [N, C, H, H].
        bias: [C].
        up_filter: [T], separable.
        down_filter: [T], separable, or [T, T].
        rates: factors, size and clamp.

    Returns:
        [N, C, size, size].
    """
    with in_full(x):
        result: Tensor = _FilteredLeakyReLU.apply(x, bias, up_filter, down_filter, rates)  # type: ignore[no-untyped-call]
    return result


class _FilteredLeakyReLU(torch.autograd.Function):
    """Written out because autograd would keep every stage: four tensors of floats at the higher rate."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor, up_filter: Tensor, down_filter: Tensor, rates: Rates) -> Tensor:
        needed = (rates.size - 1) * rates.down + len(down_filter)  # pixels that the second filter reads
        crop = ((x.shape[-1] - 1) * rates.up + len(up_filter) - needed) // 2
        x = spread(_fast_layout(x + bias[:, None, None]), up_filter, rates.up, crop, gain=rates.up**2)
        slopes = (x > 0).to(torch.int8).mul_(STEEP - 1).add_(1) if any(ctx.needs_input_grad) else None
        x = F.leaky_relu_(x, LRELU_SLOPE)
        if rates.clamp is not None:
            limit = rates.clamp / LRELU_GAIN
            if slopes is not None:
                slopes.mul_(x.abs() < limit)
            x.clamp_(-limit, limit)
        ctx.rates, ctx.crop = rates, crop
        ctx.save_for_backward(slopes, up_filter, down_filter)
        return gather(x, down_filter, rates.down, crop=0, gain=LRELU_GAIN).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        slopes, up_filter, down_filter = ctx.saved_tensors
        grad = spread(_fast_layout(grad), down_filter, ctx.rates.down, crop=0, gain=LRELU_GAIN * LRELU_SLOPE)
        grad = gather(grad.mul_(slopes), up_filter, ctx.rates.up, ctx.crop, gain=ctx.rates.up**2).contiguous()
        return grad, grad.sum(dim=(0, 2, 3)), None, None, None


def _fast_layout(x: Tensor) -> Tensor:
    """On a CPU these filters are 2 to 4 times faster with the channels last; full convolutions are slower so."""
    return x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x


def spread(x: Tensor, kernel: Tensor, factor: int, crop: int, gain: float) -> Tensor:
    """Zeros between the pixels, then a symmetric filter, without `crop` pixels of each border: upsampling.

    Args:
        x: [N, C, H, H].
        kernel: [T], separable, or [T, T].
        factor: by which the sampling rate rises.
        crop: pixels left out at each border.
        gain: of the result.
    """
    for taps, scale, stride, padding in _passes(kernel, factor, crop, gain):
        weight = (taps * scale).expand(x.shape[1], 1, -1, -1)
        x = F.conv_transpose2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])
    return x


def gather(x: Tensor, kernel: Tensor, factor: int, crop: int, gain: float) -> Tensor:
    """A symmetric filter, then every `factor`-th pixel: downsampling, and the transpose of `spread`."""
    for taps, scale, stride, padding in _passes(kernel, factor, crop, gain):
        weight = (taps * scale).expand(x.shape[1], 1, -1, -1)
        x = F.conv2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])
    return x


def _passes(
    kernel: Tensor, factor: int, crop: int, gain: float
) -> list[tuple[Tensor, float, tuple[int, int], tuple[int, int]]]:
    """One pass over both axes, or one over each: taps [T or 1, T or 1], gain, stride, padding."""
    if kernel.ndim == 2:
        return [(kernel, gain, (factor, factor), (crop, crop))]
    return [(kernel[None], gain, (1, factor), (0, crop)), (kernel[:, None], 1.0, (factor, 1), (crop, 0))]


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
