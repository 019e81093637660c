"""Which tones and colours a picture has, wherever they are: features that need no network.

Legend: M images, H W pixels.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nada.errors import ShapeError

SIDE_PX = 32  # of the shrunken copy; a finer one would count the grain of a picture
QUANTILES = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
NAME = f"colour, {len(QUANTILES)} quantiles"
RESIZING = f"area average to {SIDE_PX} px"


@torch.no_grad()
def colour_features(img_u8: Tensor) -> NDArray[np.float64]:
    """Quantiles of red, green, blue and saturation (the largest of the three less the smallest).

    The difference of two pictures' quantiles is how far light has to move from one to the other (Wasserstein).

    Args:
        img_u8: [M, 3, H, W] bytes.

    Returns:
        [M, 28] float64, each in [0, 1].

    Raises:
        ShapeError: not [M, 3, H, W].
    """
    if img_u8.ndim != 4 or img_u8.shape[1] != 3:
        raise ShapeError(f"img_u8: expected [M, 3, H, W], got {list(img_u8.shape)}")
    shrunken = F.interpolate(img_u8.double() / 255, size=(SIDE_PX, SIDE_PX), mode="area")
    saturation = shrunken.amax(dim=1, keepdim=True) - shrunken.amin(dim=1, keepdim=True)
    channels = torch.cat([shrunken, saturation], dim=1).flatten(2)
    at = torch.tensor(QUANTILES, dtype=torch.float64, device=img_u8.device)
    quantiles = torch.quantile(channels, at, dim=2)  # [7, M, 4]
    return np.asarray(quantiles.permute(1, 2, 0).flatten(1).cpu().numpy(), dtype=np.float64)
