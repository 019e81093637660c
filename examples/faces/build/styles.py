"""Faces and their styles as the CLIPs see them: pictures in [-1, 1] of 128 px."""

from __future__ import annotations

import torch
from clip_model import Style
from filters import FILTERS, apply
from torch import Tensor
from torch.nn import functional as F

from nada.generators.mobilestylegan.network import MobileStyleGAN
from nada.images import from_u8, to_u8

SIDE_PX = 128
LOWEST_PSI = 0.4
BATCH = 50


def shrink(img: Tensor) -> Tensor:
    """A generator's pictures at the size that the CLIPs see."""
    if img.shape[-1] == SIDE_PX:
        return img
    return F.interpolate(img, size=SIDE_PX, mode="bicubic", antialias=True)


def stylise(style: Style, img: Tensor, rng: torch.Generator, jitter: float) -> Tensor:
    """Pictures [N, 3, H, W] in a style; of a mixture the drawing first, then the colour. `photo` changes nothing."""
    if style == "photo":
        return img
    names = (style,) if isinstance(style, str) else reversed(style)
    unit = (img + 1) / 2
    for name in names:
        unit = apply(name, unit, rng, jitter)
    return unit * 2 - 1


@torch.no_grad()
def draw_faces(source: MobileStyleGAN, num: int, rng: torch.Generator) -> Tensor:
    """Pictures at random psi, [N, 3, 128, 128] bytes."""
    made = []
    for start in range(0, num, BATCH):
        count = min(BATCH, num - start)
        w = source.mapping(torch.randn(count, source.z_dim, generator=rng, device=rng.device))
        psi = LOWEST_PSI + (1 - LOWEST_PSI) * torch.rand(count, 1, 1, generator=rng, device=rng.device)
        made.append(to_u8(shrink(source.synthesis(source.mapping.w_avg.lerp(w, psi)))))
    return torch.cat(made)


class Bank:
    """Each style's pictures of some of the faces, rendered once; every second lot is jittered."""

    def __init__(self, faces_u8: Tensor, mixtures: list[tuple[str, str]], per_style: int, rng: torch.Generator) -> None:
        self.faces_u8, self.rng = faces_u8, rng
        self.rendered: dict[Style, tuple[Tensor, Tensor]] = {}
        per_mixture = per_style // 10
        for style, count in [
            *((name, per_style) for name in FILTERS),
            *((mixture, per_mixture) for mixture in mixtures),
        ]:
            chosen = torch.randint(len(faces_u8), (count,), generator=rng, device=rng.device)
            lots = [
                to_u8(stylise(style, from_u8(faces_u8[lot]), rng, jitter=float(number % 2)))
                for number, lot in enumerate(chosen.split(BATCH))
            ]
            self.rendered[style] = chosen, torch.cat(lots)

    def draw(self, style: Style, count: int) -> tuple[Tensor, Tensor]:
        """Faces, and themselves in a style."""
        chosen, styled_u8 = self.rendered[style]
        picked = torch.randint(len(chosen), (count,), generator=self.rng, device=self.rng.device)
        return from_u8(self.faces_u8[chosen[picked]]), from_u8(styled_u8[picked])
