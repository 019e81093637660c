"""Random differentiable views of images: crop, mirror, pixel noise.

Legend: N batch, R and H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.config import ViewsConfig


@dataclass(frozen=True)
class Augmentations:
    """One view of each image of a batch, drawn before the images are there; without parts, the images themselves."""

    theta: Tensor | None
    """What of each image is seen, and whether mirrored: affine maps of the sampling grid, [N, 2, 3]."""
    noise: Tensor | None
    """Added to the pixels, [N, 3, R, R]."""

    def __getitem__(self, part: slice) -> Augmentations:
        """The views of some of the images."""
        return Augmentations(*(None if drawn is None else drawn[part] for drawn in (self.theta, self.noise)))

    def of(self, img: Tensor) -> Tensor:
        """img [N, 3, R, R] in [-1, 1] -> the same shape as it is seen, resampled bilinearly; differentiable."""
        if self.theta is not None:
            # The affine grid has few numbers: build it where the random numbers are, then move it.
            grid = F.affine_grid(self.theta, list(img.shape), align_corners=False).to(img)
            img = F.grid_sample(img, grid, padding_mode="border", align_corners=False)
        return img if self.noise is None else img + self.noise.to(img)


PATCH_SIDE = 0.5  # of the picture's, as in StyleGAN-NADA's patch directional loss: 510 of 1024 pixels


def draw_patches(
    count: int, resolution: int, noise: float, rng: torch.Generator
) -> tuple[Augmentations, Augmentations]:
    """A patch of each of N images before and after an edit: the same place, noise of their own.

    Args:
        count: N.
        resolution: R, the images' side; a patch is resampled to it.
        noise: standard deviation of the pixels' noise.
        rng: a CPU generator.
    """
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = PATCH_SIDE
    theta[:, :, 2] = (1 - PATCH_SIDE) * (2 * torch.rand(count, 2, generator=rng) - 1)
    shape = (count, 3, resolution, resolution)
    noises = [noise * torch.randn(shape, generator=rng) if noise > 0 else None for _ in range(2)]
    return Augmentations(theta, noises[0]), Augmentations(theta, noises[1])


def draw_augmentations(count: int, resolution: int, config: ViewsConfig, rng: torch.Generator) -> Augmentations:
    """One view an image, each with a crop, mirror and noise of its own.

    Args:
        count: N.
        resolution: R, the images' side.
        config: how far the views stray; all zero draws nothing.
        rng: a CPU generator, so that the same seed draws the same views on every device.
    """
    theta = noise = None
    if config.crop > 0 or config.flip:
        side = 1 - config.crop * torch.rand(count, generator=rng)  # part of the image that stays in view
        centre = (1 - side)[:, None] * (2 * torch.rand(count, 2, generator=rng) - 1)
        mirrored = config.flip & (torch.rand(count, generator=rng) < 0.5)
        theta = torch.zeros(count, 2, 3)
        theta[:, 0, 0] = torch.where(mirrored, -side, side)
        theta[:, 1, 1] = side
        theta[:, :, 2] = centre
    if config.noise > 0:
        noise = config.noise * torch.randn(count, 3, resolution, resolution, generator=rng)
    return Augmentations(theta, noise)
