"""What a sound file may lack, and what then stands in its place: nothing that decides how its pictures look.

Legend: W_DIM latent width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nada.generators.registry import Architecture, Network

MEAN_W = "mapping.w_avg"
MEAN_LATENTS = 10_000  # samples behind a mean w that the file does not hold
SEED = 0

MEAN_MEASURED = "no mean w in the file: measured on fixed latents"
NOISE_DRAWN = "no noise maps in the file: drawn by a fixed seed"
NO_NOISE = "trained without noise: its strength is 0"
NOT_AVERAGED = "no averaged generator in the file: 'g' is read, as it was last trained"


def drawn_noise(config: Architecture) -> dict[str, Tensor]:
    """The noise maps of a StyleGAN2 by name; whoever trained without fixed ones drew each picture's anew."""
    rng = torch.Generator().manual_seed(SEED)
    convs = [layer for layer in config.style_layers() if not layer.is_rgb]
    return {
        f"synthesis.{conv.name}.noise_const": torch.randn(conv.resolution, conv.resolution, generator=rng)
        for conv in convs
    }


@torch.no_grad()
def measure_mean_w(generator: Network) -> None:
    """Put the mean of w over fixed latents, [W_DIM], where training would have tracked it."""
    rng = torch.Generator().manual_seed(SEED)
    z = torch.randn(MEAN_LATENTS, generator.z_dim, generator=rng)
    generator.mapping.w_avg.copy_(generator.mapping.to_w(z).mean(dim=0))
