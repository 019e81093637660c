"""Pictures of a row as data URIs, small enough that a page with two hundred domains opens."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from nada.images import GAP_PX

SHEET_WIDTHS_PX = (640, 1600)  # of a sheet, in a report of very many domains and of few
FULL_WIDTH_DOMAINS = 40  # with more domains than this the sheets become smaller
STRIP_HEIGHT_PX = 96
QUALITY = 86  # of WebP
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def read_sheet(path: Path) -> Image.Image | None:
    """samples.png of a row (`nada.images.before_after`); None where it is missing or damaged."""
    try:
        with Image.open(path, formats=["PNG"]) as sheet:
            return sheet.convert("RGB")
    except UNREADABLE:
        return None


def sheet_uri(sheet: Image.Image, num_domains: int) -> str:
    """The whole sheet; the more domains the report has, the smaller."""
    least, most = SHEET_WIDTHS_PX
    width = max(least, most * FULL_WIDTH_DOMAINS // max(num_domains, FULL_WIDTH_DOMAINS))
    small = sheet.copy()
    small.thumbnail((width, sheet.height), Image.Resampling.LANCZOS)
    return _uri(small)


def strip_uris(sheet: Image.Image, resolution: int) -> tuple[str, str]:
    """The first row of the source's pictures, and below them the adapted ones of the same latents."""
    strips = []
    for top in (0, resolution + GAP_PX):
        strip = sheet.crop((0, top, sheet.width, top + resolution))
        strip.thumbnail((sheet.width, STRIP_HEIGHT_PX), Image.Resampling.LANCZOS)
        strips.append(_uri(strip))
    return strips[0], strips[1]


def _uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
