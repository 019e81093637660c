"""Styles that are drawn, painted, printed or laid out of pieces; see `filters`."""

from __future__ import annotations

import torch
from picture_tools import Draw, blur, edges, grey, grid, kuwahara, smooth, steps, vivid
from torch import Tensor
from torch.nn import functional as F


def _dodge(img: Tensor, sigma: float) -> Tensor:
    """Lightness against that of the surroundings, as in a photograph of a pencil drawing."""
    g = grey(img)
    return (g / blur(g, sigma).clamp_min(0.02)).clamp(0, 1)


def pencil(img: Tensor, draw: Draw) -> Tensor:
    """Grey lines on paper; dark parts are hatched along one diagonal, the darkest along both."""
    lines = ((_dodge(img, draw.length(3.2, 1)) - 0.5) / 0.5).clamp(0, 1) ** draw.amount(0.9, 0.25)
    y, x = grid(img)
    dark = (draw.amount(0.52, 0.08) - blur(grey(img), draw.length(1.0))).clamp(0, 1) * 2
    hatch = (((y + x) * draw.amount(0.25, 0.05) % 1) < 0.5).float()
    cross = (((y - x) * draw.amount(0.25, 0.05) % 1) < 0.5).float()
    shade = hatch * dark * 0.75 + cross * (dark - 0.45).clamp_min(0) * 0.8
    return (draw.amount(0.99, 0.02) * lines - shade).clamp(0.08, 1).expand(-1, 3, -1, -1) * draw.colour((1, 1, 1), 0.03)


def charcoal(img: Tensor, draw: Draw) -> Tensor:
    """Grainy dark tones on warm paper, each part against its surroundings."""
    g = blur(grey(img), draw.length(1.2, 0.4))
    local = (g - blur(g, draw.length(14))) * 1.6 + 0.62 + (g - 0.5) * 0.55
    tone = local.clamp(0, 1) ** draw.amount(1.2, 0.2)
    grain = draw.noise(0.35) * (1 - tone) * draw.amount(0.16, 0.05) + draw.noise(0.5, 2.2) * 0.05
    ink = (edges(img, draw.length(1.2)) * 0.7).clamp(0, 0.8)
    return (tone - ink + grain).clamp(0.04, 0.96).expand(-1, 3, -1, -1) * draw.colour((1.0, 0.98, 0.94), 0.03)


def ink(img: Tensor, draw: Draw) -> Tensor:
    """Black brush strokes on white, where a part is dark or darker than its surroundings."""
    g = blur(grey(img), draw.length(0.8, 0.2))
    t = blur(g, draw.length(5, 1))
    soft = torch.maximum((t - 0.02 - g) * 30, (draw.amount(0.2, 0.04) - g) * 30)
    return (1 - soft.clamp(0, 1)).expand(-1, 3, -1, -1)


def engraving(img: Tensor, draw: Draw) -> Tensor:
    """Wavy lines that grow thick in the dark, as on a banknote."""
    y, x = grid(img)
    g = blur(grey(img), draw.length(0.8))
    g = ((g - 0.5) * 1.3 + 0.5).clamp(0, 1)
    wave = y + 2.5 * torch.sin(x / 14) + (g - 0.5) * 5
    line = (wave * draw.amount(0.28, 0.04) % 1 - 0.5).abs() * 2
    cut = ((g * 1.15 - line) * 5 + 0.5).clamp(0, 1)
    lines = cut * (1 - (edges(img, draw.length(1)) * 0.6).clamp(0, 1))
    return lines.expand(-1, 3, -1, -1) * draw.colour((0.98, 0.96, 0.9))


def watercolour(img: Tensor, draw: Draw) -> Tensor:
    """Flat washes of light, lively colours with darker rims, on rough paper."""
    r = max(2, round(draw.length(2)))
    flat = kuwahara(kuwahara(smooth(img, r, 0.12, 2), r + 1), r)
    wash = blur(flat, draw.length(1.2)) * 0.45 + flat * 0.55
    wash = vivid(wash, draw.amount(1.9, 0.2)) * 0.7 + draw.amount(0.34, 0.03)
    rim = (edges(flat, draw.length(1.0)) * 0.35).clamp(0, 0.35)
    paper = draw.noise(0.5) * 0.018 + draw.noise(9.0) * 0.035
    return ((wash - rim * 0.8 * (1 - flat * 0.5)) * (1 + paper)).clamp(0, 1)


def oil(img: Tensor, draw: Draw) -> Tensor:
    """Flat strokes of strong colours, with the relief of a brush."""
    r = max(3, round(draw.length(3)))
    flat = kuwahara(kuwahara(img, r), r)
    flat = vivid((flat - 0.5) * 1.1 + 0.5, draw.amount(1.5, 0.2))
    g = blur(grey(img), draw.length(4))
    tilt = ((g * 6.28 * 2).sin() > 0).float()
    strokes = draw.noise(1.0, 3.6) * tilt + draw.noise(3.6, 1.0) * (1 - tilt)
    relief = strokes - F.pad(strokes[..., 1:, 1:], (0, 1, 0, 1), mode="replicate")
    return (flat * (1 + strokes * 0.05) + relief * 0.05 * draw.amount(1, 0.3)).clamp(0, 1)


def pastel(img: Tensor, draw: Draw) -> Tensor:
    """Soft, light colours with short strokes."""
    flat = smooth(img, max(2, round(draw.length(2))), 0.15)
    soft = vivid(flat, draw.amount(1.25, 0.2)) * 0.6 + 0.38
    strokes = draw.noise(1.8, 0.5) * 0.03
    return (soft + strokes - (edges(img, draw.length(1.2)) * 0.12)).clamp(0, 1)


def crayon(img: Tensor, draw: Draw) -> Tensor:
    """Strong colours of wax with gaps where the paper shows."""
    flat = vivid(smooth(img, max(2, round(draw.length(2))), 0.2, 2), draw.amount(2.0, 0.3))
    y, x = grid(img)
    gap = (draw.noise(0.5, 1.6) + 0.8 * torch.sin((x + y) * 0.9)) * 0.5 + (grey(img) - 0.35) * 2
    wax = torch.sigmoid(-gap * 3) * 0.45 + 0.5
    return (1 - (1 - flat) * wax - (edges(img, draw.length(1.5)) * 0.25).clamp(0, 0.5)).clamp(0, 1)


def cartoon(img: Tensor, draw: Draw) -> Tensor:
    """Flat bright colours in few tones, outlined in black."""
    flat = smooth(img, max(2, round(draw.length(3))), 0.11, 3)
    g = grey(flat)
    level = draw.amount(5, 0.6)
    q = (g * level).floor() / level + 0.5 / level
    q = g + (q - g) * 0.85
    flat = vivid((flat * (q / g.clamp_min(0.05))).clamp(0, 1), draw.amount(1.6, 0.25)) * 1.04 + 0.04
    line = ((edges(flat, draw.length(1.0)) - draw.amount(0.28, 0.06)) * 5).clamp(0, 1)
    return (flat.clamp(0, 1) * (1 - line) + 0.05 * line).clamp(0, 1)


def comic(img: Tensor, draw: Draw) -> Tensor:
    """A cartoon whose shadows are printed in dots."""
    flat = cartoon(img, draw)
    y, x = grid(img)
    dots = torch.cos(2 * torch.pi * (x + y) / 7) * torch.cos(2 * torch.pi * (x - y) / 7)
    shade = (draw.amount(0.55, 0.05) - blur(grey(img), draw.length(1.5))).clamp(0, 0.5) * 2
    return flat * (1 - 0.55 * ((dots * 0.5 + 0.5) < shade * 1.1).float())


def halftone(img: Tensor, draw: Draw) -> Tensor:
    """One dark ink in dots that grow in the dark."""
    g = blur(grey(img), draw.length(1.0))
    y, x = grid(img)
    p = draw.amount(5.5, 1)
    dots = torch.cos(2 * torch.pi * (x + y) / 1.414 / p) * torch.cos(2 * torch.pi * (x - y) / 1.414 / p)
    cut = ((dots * 0.36 + 0.5 - g) * 9 + 0.5).clamp(0, 1)
    return draw.colour((0.98, 0.96, 0.9)) * (1 - cut) + draw.colour((0.1, 0.09, 0.15)) * cut


def popart(img: Tensor, draw: Draw) -> Tensor:
    """Four loud inks, one for each range of tones."""
    t = blur(grey(img), draw.length(1.2, 0.3))
    t = (t - t.mean(dim=(2, 3), keepdim=True)) * 1.1 + 0.5
    inks = [draw.colour(c, 0.12) for c in ((0.12, 0.05, 0.35), (0.9, 0.08, 0.47), (0.0, 0.7, 0.88), (1.0, 0.9, 0.12))]
    return steps(t, [draw.amount(v, 0.04) for v in (0.26, 0.46, 0.66)], inks)


def poster(img: Tensor, draw: Draw) -> Tensor:
    """Four inks of a campaign poster: dark blue, red, light blue and cream."""
    t = blur(grey(img), draw.length(1.2, 0.3))
    t = (t - t.mean(dim=(2, 3), keepdim=True)) * 1.1 + 0.48
    colours = ((0.0, 0.19, 0.31), (0.84, 0.1, 0.13), (0.44, 0.59, 0.62), (0.99, 0.89, 0.66))
    inks = [draw.colour(c, 0.06) for c in colours]
    return steps(t, [draw.amount(v, 0.04) for v in (0.28, 0.46, 0.62)], inks)


def pixel(img: Tensor, draw: Draw) -> Tensor:
    """A few large square pixels of few colours."""
    n = max(12, round(24 + draw.length(0, 4) * 128 / draw.side))
    small = F.interpolate(img, size=(n, n), mode="area")
    small = vivid((small - 0.5) * 1.15 + 0.5, 1.4)
    small = (small * 5).round() / 5
    return F.interpolate(small, size=img.shape[2:], mode="nearest")


def mosaic(img: Tensor, draw: Draw) -> Tensor:
    """Irregular tiles of one colour each, with dark grout between them."""
    n = 20
    y, x = grid(img)
    jitter = 0.35
    shifts = (torch.rand(draw.num, 2, n, n, generator=draw.rng, device=img.device) - 0.5) * 2 * jitter
    best = torch.full((draw.num, 1, *img.shape[2:]), 1e9, device=img.device)
    second, colour = best.clone(), torch.zeros_like(img)
    small = vivid(F.interpolate(img, size=(n, n), mode="area"), 1.45)
    cy, cx = (y / 128 * n), (x / 128 * n)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            iy, ix = (cy.floor() + dy).clamp(0, n - 1).long(), (cx.floor() + dx).clamp(0, n - 1).long()
            at = (iy * n + ix).view(1, 1, -1)
            sy, sx = (shifts[:, k : k + 1].flatten(2).gather(2, at.expand(draw.num, 1, -1)) for k in (0, 1))
            shape = (draw.num, 1, *img.shape[2:])
            py, px = iy + 0.5 + sy.view(shape), ix + 0.5 + sx.view(shape)
            dist = (cy - py).abs() + (cx - px).abs()
            outside = ((cy.floor() + dy - iy).abs() + (cx.floor() + dx - ix).abs()) > 0
            dist = torch.where(outside, torch.full_like(dist, 1e9), dist)
            tile = small.flatten(2).gather(2, at.expand(draw.num, 3, -1)).view_as(img)
            nearer = dist < best
            second = torch.where(nearer, best, torch.minimum(second, dist))
            colour = torch.where(nearer, tile, colour)
            best = torch.where(nearer, dist, best)
    grout = ((second - best) < draw.amount(0.16, 0.05)).float()
    return colour * (1 - grout) + draw.colour((0.2, 0.19, 0.18)) * grout


def blueprint(img: Tensor, draw: Draw) -> Tensor:
    """White lines and a ruled grid on blue paper."""
    e = (edges(img, draw.length(1.0)) * 1.4).clamp(0, 1)
    y, x = grid(img)
    rule = (((x % 16) < 1) | ((y % 16) < 1)).float() * 0.14
    line = torch.maximum(e, rule)
    return draw.colour((0.07, 0.2, 0.52), 0.06) * (1 - line) + draw.colour((0.92, 0.96, 1), 0.04) * line


def chalk(img: Tensor, draw: Draw) -> Tensor:
    """Dusty white lines on a dark green board."""
    e = ((edges(img, draw.length(1.1)) * 1.2).clamp(0, 1) + (grey(img) - 0.62).clamp_min(0) * 0.8).clamp(0, 1)
    dust = (0.75 + 0.3 * draw.noise(0.4)).clamp(0, 1)
    return (draw.colour((0.12, 0.2, 0.16), 0.04) * (1 - e * dust) + 0.95 * e * dust).clamp(0, 1)


def stained(img: Tensor, draw: Draw) -> Tensor:
    """Panes of few glowing colours between strips of lead."""
    flat = vivid(kuwahara(kuwahara(img, max(4, round(draw.length(4)))), max(3, round(draw.length(3)))), 2.4)
    flat = ((flat - 0.5) * 1.3 + 0.5).clamp(0, 1)
    flat = (flat * 4).round() / 4
    lead = ((edges(flat, draw.length(0.9)) - 0.25) * 4).clamp(0, 1)
    return flat * (1 - lead) + 0.03 * lead
