"""Pictures of a row as data URIs, within a page's budget of bytes: one of two hundred domains still opens at once.

Legend: R resolution of the domain's pictures, in pixels.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import PIL
from PIL import Image

from nada.atomic import replacing
from nada.errors import OutputError
from nada.images import BACKGROUND, GAP_PX
from nada.methods.sheets import UNREADABLE
from tasks.config.project import HERE
from tasks.store.record import Record

PAGE_BYTES = 5_200_000  # of all pictures of a page; in base64 they are a third more, beside text and curves
SHEET_SHARE, STRIP_SHARE, TRUTH_SHARE = 0.6, 0.2, 0.1  # of a card's bytes; a little more where it has all
MOST_SHEET_PX = 1800  # width
STRIP_PX, FINE_STRIP_PX = 72, 144  # height, and on a page with bytes to spare
FINE_STRIP_BYTES = 15_000
LEAST_SHEET_BYTES = 6_000  # whatever the budget says
QUALITY, SMALL_QUALITY = 86, 78  # of WebP, where bytes are no matter and where they are
USUAL_PIXELS = 10  # that a byte holds of a photograph at the lower quality
EFFORT = 2  # of WebP's six: the next one takes twice the time for 3% fewer bytes


@dataclass(frozen=True)
class Shown:
    """A picture in the page."""

    uri: str
    width: int
    height: int
    is_whole: bool
    """Whether its pixels are the picture's own, so that a browser which enlarges it may show them as squares."""


def read_sheet(path: Path) -> Image.Image | None:
    """A picture of a row, such as its sheet; None where it is missing or damaged."""
    try:
        with Image.open(path, formats=["WEBP", "PNG"]) as sheet:
            return sheet.convert("RGB")
    except UNREADABLE:
        return None


def side_of(record: Record) -> int:
    """Of each picture of a row's sheet, in pixels."""
    return record.evaluation.sheet_px or record.making.resolution


def sheet_shown(sheet: Image.Image, num_cards: int, share: float = SHEET_SHARE) -> Shown:
    """The whole sheet; the more cards a page has, the smaller."""
    return _shown(sheet, MOST_SHEET_PX, sheet.height, max(LEAST_SHEET_BYTES, int(PAGE_BYTES * share / num_cards)))


def strips_shown(sheet: Image.Image, resolution: int, num_cards: int) -> tuple[Shown, Shown]:
    """The first row of the source's pictures, and below them the adapted ones of the same latents."""
    tops = (0, resolution + GAP_PX)
    strips = [sheet.crop((0, top, sheet.width, top + resolution)) for top in tops]
    most = max(LEAST_SHEET_BYTES // 2, int(PAGE_BYTES * STRIP_SHARE / num_cards))
    height = FINE_STRIP_PX if most >= FINE_STRIP_BYTES else STRIP_PX
    first, second = (_shown(strip, strip.width, height, most) for strip in strips)
    return first, second


def row_of(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Pictures [R, R] side by side as in a sheet of so many columns."""
    side = pictures[0].width
    row = Image.new("RGB", (columns * (side + GAP_PX) - GAP_PX, side), BACKGROUND)
    for place, picture in enumerate(pictures[:columns]):
        row.paste(picture, (place * (side + GAP_PX), 0))
    return row


def columns_of(sheet: Image.Image, resolution: int) -> int:
    """Pictures in a row of a sheet."""
    return max(1, (sheet.width + GAP_PX) // (resolution + GAP_PX))


def _shown(picture: Image.Image, most_width: int, most_height: int, most_bytes: int) -> Shown:
    """A picture no larger than this in pixels and in bytes."""
    small = _within(picture, min(most_width / picture.width, most_height / picture.height))
    if small.width * small.height > most_bytes * USUAL_PIXELS:  # it would hardly fit: no need to find out
        small = _within(picture, (most_bytes * USUAL_PIXELS / picture.width / picture.height) ** 0.5)
    is_easy = small.width * small.height <= most_bytes * USUAL_PIXELS / 2
    content = _webp(small, QUALITY if is_easy else SMALL_QUALITY)
    while len(content) > most_bytes and small.width > 1:
        small = _within(picture, small.width / picture.width * min(0.9, (most_bytes / len(content)) ** 0.6))
        content = _webp(small, SMALL_QUALITY)
    uri = f"data:image/webp;base64,{base64.b64encode(content).decode()}"
    return Shown(uri, small.width, small.height, small.size == picture.size)


def _within(picture: Image.Image, factor: float) -> Image.Image:
    """Made smaller by a factor, if it is one."""
    if factor >= 1:
        return picture
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _webp(picture: Image.Image, quality: int) -> bytes:
    """As WebP; what an earlier report made of the same pixels is taken as it is."""
    made_by = f"{PIL.__version__} {picture.mode} {picture.size} {quality} {EFFORT} "
    sha256 = hashlib.sha256(made_by.encode() + picture.tobytes()).hexdigest()
    kept = HERE.shown_cache / f"{sha256}.webp"
    with suppress(OSError):
        content = kept.read_bytes()
        if content[:4] == b"RIFF" and len(content) == 8 + int.from_bytes(content[4:8], "little"):
            return content
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=EFFORT)
    with suppress(OutputError), replacing(kept) as partial:
        partial.write_bytes(buffer.getvalue())
    return buffer.getvalue()
