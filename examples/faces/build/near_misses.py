"""Pictures that come near a style, overshoot it or only pretend to be it, and how far on the way each is.

A guide that has only seen true pictures is content with half of them, and does not mind twice as much: grey is taken
for a drawing, dark for black and white. Learning closeness for near misses makes the whole edit pay, and no more.
Legend: N pictures, H W pixels; pictures are in [-1, 1], near misses may leave that range.
"""

from __future__ import annotations

import torch
from picture_tools import LUMA, blur
from torch import Tensor
from torch.nn import functional as F

KINDS = (
    "blend", "blend", "over", "grey", "lightness", "colour", "gamma", "tinted", "contrast", "shift", "soft", "halo",
    "sharp", "affine", "affine", "grid", "stain", "brush", "brush", "colours",
)  # fmt: skip
"""One is drawn for each style of a batch; some count twice."""

LOWEST_CLOSENESS = -0.2
LEAST_DIFFERENCE = 4e-3
"""Between source and truth, where they hardly differ in a view."""


def closeness(img: Tensor, source: Tensor, truth: Tensor) -> Tensor:
    """Share of the way from source to truth, [N] in [-0.2, 1]; all [N, 3, H, W]. Overshooting costs as well.

    The mean over four views: tones, edges, how lively each spot is, and the pixels themselves.
    """
    missing = []
    for view, source_view, true_view in zip(_views(img), _views(source), _views(truth), strict=True):
        left = (view - true_view).abs().flatten(1).mean(dim=1)
        whole = (source_view - true_view).abs().flatten(1).mean(dim=1)
        missing.append(left / whole.clamp_min(LEAST_DIFFERENCE))
    return (1 - torch.stack(missing).mean(dim=0)).clamp(LOWEST_CLOSENESS, 1)


def _views(img: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    means = F.avg_pool2d(img, 2, 1)
    across = means[..., :-1, 1:] - means[..., :-1, :-1]
    down = means[..., 1:, :-1] - means[..., :-1, :-1]
    spot = F.avg_pool2d(img, 8, 4)
    lively = (F.avg_pool2d(img * img, 8, 4) - spot * spot).clamp_min(0).add(1e-4).sqrt()
    return F.avg_pool2d(img, 4), torch.cat([across, down], dim=1), lively, img


def near_miss(source: Tensor, truth: Tensor, kind: str, rng: torch.Generator) -> Tensor:
    """One kind of near misses of a style, [N, 3, H, W], from the source's pictures and the true ones."""
    num, device = len(source), source.device

    def amount(low: float, high: float, channels: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(num, channels, 1, 1, generator=rng, device=device)

    luma = torch.tensor(LUMA, device=device)[:, None, None]
    grey, grey_true = ((img * luma).sum(dim=1, keepdim=True) for img in (source, truth))
    match kind:
        case "blend":  # a part of the way
            return source + amount(0, 1) * (truth - source)
        case "over":  # beyond it
            return source + amount(1.05, 1.8) * (truth - source)
        case "grey":
            return source + amount(0.4, 1.3) * (grey_true - source)
        case "lightness":  # the truth's, with the source's colours
            return source + (grey_true - grey) * amount(0.5, 1.2)
        case "colour":  # the truth's, with the source's lightness
            return truth + (grey - grey_true) * amount(0.4, 1)
        case "gamma":
            return ((truth + 1) / 2).clamp(1e-3, 1) ** torch.exp(amount(-0.9, 0.9)) * 2 - 1
        case "tinted":
            return (truth + 1) * amount(0.55, 1.4, 3) - 1
        case "contrast":
            mean = truth.mean(dim=(2, 3), keepdim=True)
            return mean + (truth - mean) * amount(0.3, 2)
        case "shift":
            return truth + amount(-0.5, 0.5, 3)
        case "soft":
            return blur(truth, float(amount(0.7, 3)[0]))
        case "halo":
            return truth + amount(-0.9, 2) * (source - blur(source, 2.0))
        case "sharp":
            return truth + amount(0.5, 2.5) * (truth - blur(truth, 1.0))
        case "affine":
            return source + amount(0.5, 1.2) * (_best_colours(source, truth) - source)
        case "grid":
            pattern = _pattern(rng, device)
            strength = amount(0.05, 0.5)
            places = torch.rand(num, 1, 4, 4, generator=rng, device=device)
            whole = pattern.repeat(1, 1, truth.shape[2] // 8, truth.shape[3] // 8)
            return truth + strength * whole * F.interpolate(places, size=truth.shape[2:], mode="bilinear")
        case "stain":
            strength = amount(0.1, 0.7)
            stains = torch.randn(num, 3, 6, 6, generator=rng, device=device)
            return truth + strength * F.interpolate(stains, size=truth.shape[2:], mode="bicubic")
        case "brush":
            base = truth if float(torch.rand((), generator=rng, device=device)) < 0.5 else source
            added = _brush(base, rng)
            return base + added / added.std().clamp_min(1e-3) * amount(0.1, 0.8)
        case "colours":  # any others
            mixed = torch.eye(3, device=device) * 0.5 + 0.6 * torch.randn(num, 3, 3, generator=rng, device=device)
            shift = 0.5 * torch.randn(num, 3, 1, 1, generator=rng, device=device)
            return torch.einsum("noc,nchw->nohw", mixed, source) + shift
    raise KeyError(kind)


def _best_colours(source: Tensor, truth: Tensor) -> Tensor:
    """The affine change of each picture's colours that comes nearest to the truth."""
    pixels = torch.cat([source.flatten(2), torch.ones_like(source[:, :1]).flatten(2)], dim=1)
    gram = pixels @ pixels.transpose(1, 2) + 1e-1 * torch.eye(4, device=source.device)
    matrix = torch.linalg.solve(gram, pixels @ truth.flatten(2).transpose(1, 2))
    return (matrix.transpose(1, 2) @ pixels).view_as(source)


def _pattern(rng: torch.Generator, device: torch.device) -> Tensor:
    """[1, 3, 8, 8] that repeats every 8 or 2 pixels, as what toRGB of a trained generator leaves."""
    pattern = torch.randn(1, 3, 8, 8, generator=rng, device=device)
    if float(torch.rand((), generator=rng, device=device)) < 0.6:
        return pattern[..., :2, :2].repeat(1, 1, 4, 4)
    return pattern


def _brush(img: Tensor, rng: torch.Generator) -> Tensor:
    """What a random small convolutional network makes of pictures."""
    first = torch.randn(12, 3, 5, 5, generator=rng, device=img.device) / 8
    second = torch.randn(3, 12, 3, 3, generator=rng, device=img.device) / 8
    return F.conv2d(F.leaky_relu(F.conv2d(img, first, padding=2), 0.2), second, padding=1)
