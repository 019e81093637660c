"""The pictures of a gallery: each latent in each domain, small for the page and as large as drawn to look at.

Legend: N latents, R resolution in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from nada.generators.domain import Domain
from nada.images import grid
from tasks.library.latents import Shown
from tasks.library.sample import drawn

FOLDER, SUFFIX = "pictures", ".webp"
SMALL_PX, LARGE_PX = 256, 1024
QUALITY, LARGE_QUALITY = 80, 86  # of WebP: 5 to 10 kB a small picture
EFFORT = 4  # of WebP's six


@dataclass(frozen=True)
class Files:
    """Of one domain, relative to the page."""

    small: tuple[str, ...]
    """N of them."""
    large: tuple[str, ...]
    """The same where the pictures are no larger."""


def draw(domain: Domain, latents: Shown) -> Tensor:
    """img_u8 [N, 3, R, R]."""
    return torch.cat(list(drawn(domain, latents)))


def write(img_u8: Tensor, folder: Path, name: str) -> Files:
    """Write [N, 3, R, R] below a gallery's folder.

    Args:
        img_u8: the pictures.
        folder: of the gallery.
        name: of the domain; letters, digits and dashes alone.
    """
    small, large = [], []
    for index, one in enumerate(img_u8):
        picture = grid(one[None], 1)
        small.append(_save(picture, SMALL_PX, QUALITY, folder, f"{FOLDER}/{name}-{index}{SUFFIX}"))
        is_larger = picture.width > SMALL_PX
        large.append(
            _save(picture, LARGE_PX, LARGE_QUALITY, folder, f"{FOLDER}/{name}-{index}-large{SUFFIX}")
            if is_larger
            else small[-1]
        )
    return Files(tuple(small), tuple(large))


def _save(picture: Image.Image, side: int, quality: int, folder: Path, name: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if picture.width > side:
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
    picture.save(path, "WEBP", quality=quality, method=EFFORT)
    return name
