"""What an image shows where, whatever its colours and contrast: features that need no network.

A drawing of many faces is as varied as their photos, yet to a CLIP all drawings look alike, since style fills its
embedding. These features keep the edges and shades of an image and leave its style out as far as arithmetic can.

Legend: M images, H W pixels, S structure width (1,344).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nada.errors import ShapeError

LEVELS_PX = (32, 16, 8)  # sides of the shrunken copies; finer ones would count the grain of a picture
SIGMA_PX = 1.5  # of the window of local mean and contrast, as in SSIM
REACH_PX = 4  # of that window, to either side
VISIBLE = 0.03  # contrast (of [0, 1]) at which a difference counts half; 8 grey levels
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
NAME = f"structure {'-'.join(map(str, LEVELS_PX))} px, sigma {SIGMA_PX:g}, visible {VISIBLE:g}"


@torch.no_grad()
def structure_features(img_u8: Tensor) -> NDArray[np.float64]:
    """Luminance with its local mean removed and its local contrast evened out, at three sizes.

    These are the normalised coefficients of natural scene statistics (Ruderman 1994; used by BRISQUE),
    (x - mean) / sqrt(variance + visible^2) in a Gaussian window, scaled so that half the squared distance of two
    images is in [0, 2] and near 1 minus the mean structure term of their SSIM.

    Args:
        img_u8: [M, 3, H, W] bytes.

    Returns:
        [M, S] float64, with a squared norm of at most about 1; flat images have norm 0.

    Raises:
        ShapeError: not [M, 3, H, W].
    """
    if img_u8.ndim != 4 or img_u8.shape[1] != 3:
        raise ShapeError(f"img_u8: expected [M, 3, H, W], got {list(img_u8.shape)}")
    weights = torch.tensor(LUMA, dtype=torch.float64, device=img_u8.device)[None, :, None, None] / 255
    levels = []
    for size in LEVELS_PX:
        shrunken = F.interpolate(img_u8.double(), size=(size, size), mode="area")
        luma = (shrunken * weights).sum(dim=1, keepdim=True)
        centred = luma - _blur(luma)
        evened = centred / torch.sqrt(_blur(centred.square()) + VISIBLE**2)
        levels.append(evened.flatten(1) / (size * len(LEVELS_PX) ** 0.5))
    return np.asarray(torch.cat(levels, dim=1).cpu().numpy(), dtype=np.float64)


def _blur(x: Tensor) -> Tensor:
    """Gaussian mean around each pixel of [M, 1, H, W]; beyond the edge its pixels repeat."""
    offsets = torch.arange(-REACH_PX, REACH_PX + 1, dtype=x.dtype, device=x.device)
    window = torch.exp(-offsets.square() / (2 * SIGMA_PX**2))
    window = window / window.sum()
    padded = F.pad(x, (REACH_PX,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, window[None, None, None, :]), window[None, None, :, None])
