"""Pictures side by side, each with its caption below: what `nada invert` and `nada apply` show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from nada.errors import printable
from nada.images import BACKGROUND, GAP_PX

LEAST_PX = 256  # of a cell's side: smaller pictures are enlarged, for a caption needs room
CAPTION_SHARE = 12  # a caption's height is a part of its cell's
LEAST_FONT_PX = 8

Cell = tuple[str, Image.Image]
"""A caption, and its picture."""


def captioned(cells: Sequence[Cell], columns: int) -> Image.Image:
    """Cells row by row, all as large as the largest.

    Args:
        cells: one or more; their pictures square.
        columns: cells side by side.
    """
    side = max(LEAST_PX, *(picture.width for _, picture in cells))
    height = side + side // CAPTION_SHARE * 3 // 2
    columns = min(columns, len(cells))
    rows = math.ceil(len(cells) / columns)
    sheet = Image.new("RGB", (columns * (side + GAP_PX) - GAP_PX, rows * (height + GAP_PX) - GAP_PX), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for index, (caption, picture) in enumerate(cells):
        left, top = index % columns * (side + GAP_PX), index // columns * (height + GAP_PX)
        large = picture if picture.width == side else picture.resize((side, side), Image.Resampling.BICUBIC)
        sheet.paste(large, (left, top))
        text, font = fitting(caption, side)
        draw.text((left + side / 2, top + (side + height) / 2), text, fill="black", font=font, anchor="mm")
    return sheet


def fitting(caption: str, side: int) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    """A caption and a font in which it is no wider than its cell; one that is far too long loses its end."""
    size, caption = side // CAPTION_SHARE, printable(caption)
    while True:
        font = ImageFont.load_default(size)
        if font.getlength(caption) <= side:
            return caption, font
        if size > LEAST_FONT_PX:
            size -= 1
        else:
            caption = f"{caption[: max(1, len(caption) * 3 // 4)].rstrip('.')}..."
            if len(caption) <= len("a..."):
                return caption, font
