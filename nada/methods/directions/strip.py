"""One edit at several strengths, side by side, for a look at how far it should go.

Legend: N pictures, L style layers, R resolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nada.generators.domain import Domain
from nada.images import grid
from nada.judge.samples import fixed_latents, render
from nada.methods.moved_styles import offset_domain

MOST_PX = 128  # of a picture
BATCH_SIZE = 16


def strength_strip(
    source: Domain, offsets: Mapping[str, Tensor], strengths: Sequence[float], num_latents: int, psi: float
) -> Image.Image:
    """A row a latent, a column a strength: the source with so many times the offsets.

    Args:
        source: that is edited.
        offsets: [C] by layer.
        strengths: in the order of the columns; 0 is the source itself.
        num_latents: the first of those by which every domain is judged.
        psi: truncation.
    """
    ws = fixed_latents(source, num_latents, psi)
    columns = []
    for strength in strengths:
        domain = offset_domain(source, {name: strength * offset for name, offset in offsets.items()})
        columns.append(torch.cat(list(render(domain, ws, BATCH_SIZE))))
    return grid(_small(torch.stack(columns, dim=1).flatten(0, 1)), len(strengths))


def _small(img_u8: Tensor) -> Tensor:
    """[N, 3, R, R] bytes, no larger than MOST_PX."""
    if img_u8.shape[2] <= MOST_PX:
        return img_u8
    return F.interpolate(img_u8.float(), size=MOST_PX, mode="area").round().byte()
