"""Random differentiable views of images: crop, mirror, pixel noise.

Legend: N batch, H W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.config import ViewsConfig


def random_views(img: Tensor, config: ViewsConfig, rng: torch.Generator) -> Tensor:
    """One view of each image, every image with its own crop, mirror and noise.

    Args:
        img: [N, 3, H, W] in [-1, 1].
        config: how far the views stray; all zero returns `img` itself.
        rng: a CPU generator, so that the same seed draws the same views on every device.

    Returns:
        [N, 3, H, W], resampled bilinearly.
    """
    count = img.shape[0]
    if config.crop > 0 or config.flip:
        side = 1 - config.crop * torch.rand(count, generator=rng)  # part of the image that stays in view
        centre = (1 - side)[:, None] * (2 * torch.rand(count, 2, generator=rng) - 1)
        mirrored = config.flip & (torch.rand(count, generator=rng) < 0.5)
        theta = torch.zeros(count, 2, 3)
        theta[:, 0, 0] = torch.where(mirrored, -side, side)
        theta[:, 1, 1] = side
        theta[:, :, 2] = centre
        # The affine grid has few numbers: build it where the random numbers are, then move it.
        grid = F.affine_grid(theta, list(img.shape), align_corners=False).to(img)
        img = F.grid_sample(img, grid, padding_mode="border", align_corners=False)
    if config.noise > 0:
        img = img + config.noise * torch.randn(img.shape, generator=rng).to(img)
    return img
