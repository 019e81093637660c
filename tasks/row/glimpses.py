"""A row's pictures while it is made, small enough to be sent along: for whoever watches, and no part of the row."""

from __future__ import annotations

import io
import time
from typing import NamedTuple

from PIL import Image
from torch import Tensor

from nada.images import grid
from nada.methods.base import Pass

SHARE = 0.005  # of the time, at most: a method that draws anew for it is asked less often
LEAST_SECONDS = 1.0  # between two pictures of a row
SIDE_PX = 128  # of each, at most
QUALITY = 85


class Shown(NamedTuple):
    """A picture on its way."""

    jpeg: bytes | None
    step: int
    """Steps behind it."""


NOTHING = Shown(None, 0)


class Glimpses:
    """Takes the pictures of one row."""

    def __init__(self) -> None:
        self._due = 0.0
        self._step = -1

    def take(self, making: Pass, row: str, is_last: bool = False) -> Shown:
        """The row's picture, if there is a new one and it is time.

        Args:
            making: the row's pass, between two steps.
            row: its name.
            is_last: whether this is what the row keeps: it is time, whatever was shown before.
        """
        started = time.monotonic()
        if started < self._due and not is_last:
            return NOTHING
        try:
            glimpse = making.glimpse(row)
            if glimpse is None or (glimpse.step == self._step and not is_last):
                return NOTHING
            shown = Shown(encoded(glimpse.img_u8), glimpse.step)
        except Exception:  # memory is short, say: that nobody sees the row costs it nothing
            self._due = float("inf")
            return NOTHING
        now = time.monotonic()
        self._due, self._step = now + max(LEAST_SECONDS, (now - started) / SHARE), glimpse.step
        return shown


def encoded(img_u8: Tensor) -> bytes:
    """Pictures [N, 3, H, W] side by side, each at most SIDE_PX wide, as a JPEG."""
    small = [_reduced(one) for one in img_u8]
    strip = Image.new("RGB", (sum(one.width for one in small), small[0].height))
    left = 0
    for one in small:
        strip.paste(one, (left, 0))
        left += one.width
    file = io.BytesIO()
    strip.save(file, format="JPEG", quality=QUALITY, subsampling=0)
    return file.getvalue()


def _reduced(img_u8: Tensor) -> Image.Image:
    picture = grid(img_u8[None], 1)
    return picture.reduce(max(1, -(-picture.width // SIDE_PX)))
