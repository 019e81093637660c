"""Pictures that a row keeps for readers: WebP, in few bytes, so that a row of kilobytes stays one.

What does not fit is composed anew of smaller pictures, not of worse ones: at the lower quality the strokes of a drawing
still stand. The domain itself draws any of them again, as large as it can.
Legend: N images, R resolution.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from nada.atomic import replacing

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".webp"
FEW_BYTES = 70_000  # that a sheet may weigh, however little its row does
MOST_PX = 256  # of a picture in it; a page shows it no larger
LEAST_PX = 32
QUALITIES = (86, 78)  # of 100; the first where it fits
JPEG_QUALITY = 90
EFFORT = 4  # of six: the next ones take twice the time for 1% fewer bytes
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def save_sheet(path: Path, compose: Callable[[int], Image.Image], resolution: int, most_bytes: int = FEW_BYTES) -> int:
    """Write a sheet of as large pictures as fit, whole or not at all.

    Args:
        path: ends in `.webp`.
        compose: the sheet of pictures of so many pixels a side.
        resolution: of the pictures.
        most_bytes: that it may weigh; `LEAST_PX` a picture are drawn whatever they do.

    Returns:
        The pictures' side, in pixels.

    Raises:
        OutputError: the folder cannot be written.
    """
    px = min(resolution, MOST_PX)
    while True:
        content, smaller = _fitting(compose(px), most_bytes), max(LEAST_PX, px * 7 // 8)
        if len(content) <= most_bytes or smaller >= px:
            break
        px = max(LEAST_PX, min(smaller, int(px * (most_bytes / len(content)) ** 0.5)))
    with replacing(path) as partial:
        partial.write_bytes(content)
    return px


def save_webp(picture: Image.Image, path: Path) -> None:
    """Write a picture as it is, whole or not at all.

    Raises:
        OutputError: the folder cannot be written.
    """
    with replacing(path) as partial:
        partial.write_bytes(_encoded(picture, QUALITIES[0]))


def as_jpeg(path: Path) -> bytes | None:
    """A WebP as the JPEG that other viewers show; None where it is missing or damaged."""
    buffer = io.BytesIO()
    try:
        with Image.open(path, formats=["WEBP"]) as picture:
            picture.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    except UNREADABLE:
        return None
    return buffer.getvalue()


def at_most(img_u8: Tensor, px: int) -> Tensor:
    """[N, 3, R, R] bytes, made smaller where they are larger than `px` a side."""
    if img_u8.shape[2] <= px:
        return img_u8
    import torch.nn.functional as F  # here, so that a command that only names these files does without torch

    small = F.interpolate(img_u8.float(), size=px, mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).byte()


def _fitting(picture: Image.Image, most_bytes: int) -> bytes:
    for quality in QUALITIES:
        if len(content := _encoded(picture, quality)) <= most_bytes:
            break
    return content


def _encoded(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=EFFORT)
    return buffer.getvalue()
