"""Seeded latents for training and for pictures.

Legend: N batch, L style layers, Z and W_DIM latent widths.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nada.generators.domain import Domain


def seeded_rng(seed: int) -> torch.Generator:
    """A CPU generator, so that the same seed draws the same numbers on every device."""
    return torch.Generator().manual_seed(seed)


def draw_z(count: int, generator: Domain, rng: torch.Generator) -> Tensor:
    """z [N, Z] ~ N(0, I) on the generator's device."""
    device = next(iter(generator.parameters())).device
    return torch.randn(count, generator.z_dim, generator=rng).to(device)


@torch.no_grad()
def draw_ws(count: int, generator: Domain, rng: torch.Generator, style_mixing: float = 0.0) -> Tensor:
    """ws [N, L, W_DIM] at psi 1, some of them mixed from two latents.

    Args:
        count: N.
        generator: whose mapping network is used.
        rng: source of all random numbers.
        style_mixing: probability that a sample takes its rows from a random one on from a second latent.
    """
    ws = generator.mapping(draw_z(count, generator, rng))
    if style_mixing == 0:
        return ws
    other = generator.mapping(draw_z(count, generator, rng))
    mixed = torch.rand(count, 1, generator=rng) < style_mixing
    crossover = torch.randint(1, generator.num_ws, (count, 1), generator=rng)
    from_other = mixed & (torch.arange(generator.num_ws) >= crossover)
    return torch.where(from_other[:, :, None].to(ws.device), other, ws)
