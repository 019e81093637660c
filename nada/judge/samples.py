"""The pictures that are judged: the same latents for every domain of every night.

Legend: N batch, M pictures of a set, L style layers, W_DIM latent width, R resolution in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nada.generators.domain import Domain
from nada.images import to_u8
from nada.latents import draw_z, seeded_rng
from nada.micro_batch import MicroBatch

JUDGE_SEED = 20_210_802  # no row trains on these latents; the same for all, so that domains compare
PIXELS_AT_ONCE = 1 << 20  # one picture of 1024 px takes about 1 GiB to render; more at once are no faster
DRAWN_TOGETHER = 16  # latents; torch draws normal numbers in groups, so that only whole groups begin a longer draw


@torch.no_grad()
def render(domain: Domain, ws: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Batches of img_u8 [N, 3, R, R] for ws [M, L, W_DIM], with the noise maps stored in the weights.

    Smaller ones than `batch_size` where that would be more than a megapixel at once, or memory runs out.

    Raises:
        OutOfMemoryError: not even one picture fits.
    """
    at_once = MicroBatch(max(1, min(batch_size, PIXELS_AT_ONCE // domain.resolution**2)))
    yield from at_once.each(
        "rendering", ws.shape[0], lambda part: to_u8(domain.synthesis(ws[part], noise="const")).cpu()
    )


@torch.no_grad()
def fixed_latents(domain: Domain, count: int, truncation_psi: float, seed: int = JUDGE_SEED) -> Tensor:
    """ws [M, L, W_DIM] that depend on the seed alone; fewer of them begin as more do."""
    whole = -(-count // DRAWN_TOGETHER) * DRAWN_TOGETHER
    z = draw_z(whole, domain, seeded_rng(seed))[:count]
    return domain.mapping(z, truncation_psi)
