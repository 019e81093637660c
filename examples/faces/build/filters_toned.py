"""Styles of light, colour and material; see `filters`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from picture_tools import Draw, blur, edges, grey, grid, ramp, smooth, vivid
from torch import Tensor
from torch.nn import functional as F


def sepia(img: Tensor, draw: Draw) -> Tensor:
    """Brown tones of an old photograph."""
    return ramp(
        grey(img),
        [
            draw.colour((0.14, 0.07, 0.02), 0.04),
            draw.colour((0.55, 0.4, 0.24), 0.05),
            draw.colour((0.96, 0.86, 0.66), 0.04),
        ],
    )


def bw(img: Tensor, draw: Draw) -> Tensor:
    """Greys, with a little more contrast than the picture had."""
    return ((grey(img) - 0.5) * draw.amount(1.15, 0.12) + 0.5).clamp(0, 1).expand(-1, 3, -1, -1)


def negative(img: Tensor, draw: Draw) -> Tensor:
    """Every colour turned into its opposite."""
    return 1 - img * draw.amount(1, 0.06)


def neon(img: Tensor, draw: Draw) -> Tensor:
    """Glowing outlines on black, pink above and cyan below."""
    e = (edges(img, draw.length(1.1, 0.2)) * draw.amount(1.9, 0.3)).clamp(0, 1)
    glow = torch.maximum(e, blur(e, draw.length(2.6)) * 1.1)
    y, _ = grid(img)
    h = y / 128
    colour = (1 - h) * draw.colour((1, 0.1, 0.85), 0.12) + h * draw.colour((0.1, 0.9, 1), 0.12)
    return (glow * colour + 0.5 * (e - 0.6).clamp_min(0) + 0.03 * draw.colour((0.3, 0.1, 0.6))).clamp(0, 1)


def thermal(img: Tensor, draw: Draw) -> Tensor:
    """Tones through the colours of a heat camera."""
    heat = [(0.05, 0.0, 0.3), (0.2, 0.0, 0.75), (0.85, 0.1, 0.55), (1.0, 0.55, 0.0), (1.0, 1.0, 0.5)]
    return ramp(blur(grey(img), draw.length(1.4)), [draw.colour(c) for c in heat])


def night(img: Tensor, draw: Draw) -> Tensor:
    """Little light, and cold."""
    return (img * draw.colour((0.26, 0.36, 0.66), 0.06) + draw.colour((0.0, 0.01, 0.05), 0.01)).clamp(0, 1)


def nightvision(img: Tensor, draw: Draw) -> Tensor:
    """Grainy green, and dark in the corners."""
    y, x = grid(img)
    vignette = (1.15 - 0.6 * ((y / 64 - 1) ** 2 + (x / 64 - 1) ** 2)).clamp(0.05, 1)
    return ((grey(img) * 1.15 + draw.noise(0.3) * 0.06) * vignette * draw.colour((0.15, 1, 0.2))).clamp(0, 1)


def _relief(img: Tensor, draw: Draw, sigma: float) -> Tensor:
    """Light from the upper left on a surface as high as the picture is light."""
    g = blur(grey(img), draw.length(sigma))
    p = F.pad(g, (1, 1, 1, 1), mode="replicate")
    return (p[..., 2:, 2:] - p[..., :-2, :-2]) * img.shape[-1] / 128


def stone(img: Tensor, draw: Draw) -> Tensor:
    """A relief cut into grainy grey stone."""
    g = blur(grey(img), draw.length(1.5))
    tone = 0.52 + 0.5 * (g - g.mean(dim=(2, 3), keepdim=True)) + _relief(img, draw, 1.0) * 1.6
    grain = draw.noise(0.45) * 0.03 + draw.noise(2.5) * 0.03
    return ((tone + grain) * draw.colour((1.0, 0.98, 0.93), 0.05)).clamp(0, 1)


def statue(img: Tensor, draw: Draw) -> Tensor:
    """White marble with grey veins."""
    flat = smooth(grey(img), max(2, round(draw.length(2))), 0.15)
    tone = 0.78 + 0.55 * (flat - flat.mean(dim=(2, 3), keepdim=True)) + _relief(img, draw, 1.4) * 0.5
    vein = (1 - (draw.noise(7.0).abs() * 6).clamp(0, 1)) * 0.07
    return ((tone - vein) * draw.colour((0.97, 0.97, 0.99), 0.02)).clamp(0, 1)


def bronze(img: Tensor, draw: Draw) -> Tensor:
    """Dark brown metal with yellow lights."""
    flat = smooth(grey(img), max(2, round(draw.length(2))), 0.12)
    tone = (flat - flat.mean(dim=(2, 3), keepdim=True)) * 0.9 + 0.42 + _relief(img, draw, 1.2) * 0.8
    metal = [(0.06, 0.03, 0.02), (0.4, 0.22, 0.08), (0.75, 0.5, 0.2), (1.0, 0.93, 0.7)]
    return ramp(tone, [draw.colour(c, 0.05) for c in metal])


def zombie(img: Tensor, draw: Draw) -> Tensor:
    """Rotten green skin with hollow eyes, in a world without colour."""
    g = grey(img)
    skin = torch.sigmoid((img[:, :1] - img[:, 2:] - 0.12) * 25)
    hollow = (blur(g, draw.length(6)) - blur(g, draw.length(2))).clamp_min(0) * 3
    tone = ((g - 0.45) * 1.3 + 0.42 - hollow).clamp(0, 1)
    tone = tone * (1 + draw.noise(1.6) * 0.10)
    greens = ((0.03, 0.05, 0.03), (0.25, 0.36, 0.2), (0.68, 0.8, 0.55))
    rot = ramp(tone, [draw.colour(c, 0.05) for c in greens])
    rest = vivid(img * 0.6, 0.35) * draw.colour((0.8, 0.9, 0.8), 0.05)
    return (rot * skin + rest * (1 - skin)).clamp(0, 1)


def tint(low: tuple[float, float, float], high: tuple[float, float, float]) -> Callable[[Tensor, Draw], Tensor]:
    """Lightness along the straight line between two colours."""

    def apply(img: Tensor, draw: Draw) -> Tensor:
        return ramp(grey(img), [draw.colour(low, 0.05), draw.colour(high, 0.05)])

    return apply


blue = tint((0.02, 0.04, 0.25), (0.72, 0.85, 1.0))

red = tint((0.22, 0.0, 0.02), (1.0, 0.72, 0.68))

green = tint((0.0, 0.14, 0.04), (0.75, 1.0, 0.72))


def golden(img: Tensor, draw: Draw) -> Tensor:
    """The warm light of the evening."""
    light = draw.colour((1.12, 0.92, 0.6), 0.05).clamp(0, 1.2)
    return (vivid(img, 1.15) * light + draw.colour((0.1, 0.04, 0.0), 0.02)).clamp(0, 1)


def faded(img: Tensor, draw: Draw) -> Tensor:
    """Pale colours of an old print."""
    pale = vivid(img, draw.amount(0.5, 0.1)) * draw.colour((0.72, 0.68, 0.6), 0.05)
    return (pale + draw.colour((0.24, 0.22, 0.2), 0.04)).clamp(0, 1)


def glitch(img: Tensor, draw: Draw) -> Tensor:
    """Colours out of place, and the lines of a screen."""
    k = max(2, round(draw.length(4, 1)))
    moved = torch.cat([img[:, :1].roll(k, 3), img[:, 1:2], img[:, 2:].roll(-k, 3)], dim=1)
    y, _ = grid(img)
    return (moved * (1 - 0.28 * ((y % 4) < 2).float())).clamp(0, 1)
