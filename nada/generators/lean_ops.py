"""Operations of the generators that keep less for the backward pass, with the same numbers bit for bit.

What autograd would keep of a modulated layer at full resolution is its input, the scaled input, the convolution's
output and two of the activation's; here it is the first and the third, and the activation's output, which is the
next layer's input anyway.
Legend: N batch, I and O input and output channels, K kernel width.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class _LeakyReLU(torch.autograd.Function):
    """Sign and saturation can be read off the output, so nothing else is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float, gain: float, clamp: float | None) -> Tensor:
        out = F.leaky_relu(x, slope).mul_(gain)
        if clamp is not None:
            out.clamp_(-clamp, clamp)
        ctx.save_for_backward(out)
        ctx.slope, ctx.gain, ctx.clamp = slope, gain, clamp
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (out,) = ctx.saved_tensors
        if ctx.clamp is not None:
            grad = grad.where(out.abs() < ctx.clamp, 0)
        return torch.ops.aten.leaky_relu_backward(grad * ctx.gain, out, ctx.slope, True), None, None, None


class _ScaledConv(torch.autograd.Function):
    """The scaled input is computed again for the backward pass: one multiplication instead of a copy kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, styles: Tensor, weight: Tensor, padding: int, double: bool) -> Tensor:
        ctx.save_for_backward(x, styles, weight)
        ctx.padding, ctx.double = padding, double
        scaled = x * styles[:, :, None, None]
        if double:
            return F.conv_transpose2d(scaled, weight.transpose(0, 1), stride=2)
        return F.conv2d(scaled, weight, padding=padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        x, styles, weight = ctx.saved_tensors
        for_x, for_styles, for_weight = ctx.needs_input_grad[:3]
        stride, padding = ([2, 2], [0, 0]) if ctx.double else ([1, 1], [ctx.padding, ctx.padding])
        computed = grad.dtype  # of the forward pass: autocast's is not on any more
        grad_scaled, grad_weight, _ = torch.ops.aten.convolution_backward(
            grad,
            (x * styles[:, :, None, None]).to(computed),
            (weight.transpose(0, 1) if ctx.double else weight).to(computed),
            None,
            stride,
            padding,
            [1, 1],
            ctx.double,
            [0, 0],
            1,
            [for_x or for_styles, for_weight, False],
        )
        if for_weight and ctx.double:
            grad_weight = grad_weight.transpose(0, 1)
        grad_x = grad_scaled * styles[:, :, None, None] if for_x else None
        grad_styles = (grad_scaled * x).sum(dim=(2, 3)) if for_styles else None
        return grad_x, grad_styles, grad_weight, None, None


def in_full(x: Tensor) -> AbstractContextManager[object]:
    """Within it operations run in the type of their inputs, even where `torch.autocast` is on around it."""
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


def lean_leaky_relu(x: Tensor, slope: float, gain: float, clamp: float | None = None) -> Tensor:
    """Leaky ReLU times a gain, optionally clamped to [-clamp, clamp], where no gradient passes."""
    out: Tensor = _LeakyReLU.apply(x, slope, gain, clamp)  # type: ignore[no-untyped-call]
    return out


def scaled_conv(x: Tensor, styles: Tensor, weight: Tensor, padding: int = 0, double: bool = False) -> Tensor:
    """Convolution of an input that is scaled per sample and channel; a transposed one of stride 2 if `double`.

    Args:
        x: [N, I, H, W].
        styles: [N, I].
        weight: [O, I, K, K].
        padding: of every side; none if `double`.
        double: 2H + K - 2 pixels a side instead of H + 2 padding - K + 1.
    """
    out: Tensor = _ScaledConv.apply(x, styles, weight, padding, double)  # type: ignore[no-untyped-call]
    return out
