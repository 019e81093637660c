"""The pixels of pictures that people bring: checked before a night, and read in it.

Whatever the files hold, this costs time and memory in proportion to their bytes, and nothing is unpacked to disk. torch
is imported where pixels are kept, not above: planning checks thousands of pictures without it.

Legend: M images, R resolution in pixels. `img_u8` is bytes, [M, 3, R, R].
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, ImageOps

from nada.errors import ImageError
from nada.hashing import open_regular
from nada.paths import is_folder
from nada.picture_sets import UNREADABLE_ZIP, PictureSet, find_pictures, open_zip, reason

if TYPE_CHECKING:
    from torch import Tensor

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")
"""The only decoders that run, whatever a file calls itself. Of several pictures in one file the first is read."""
MAX_PIXELS = 64_000_000  # above any camera's portrait; a decoded image takes 3 bytes a pixel
MAX_FILE_BYTES = 256 << 20  # of one image: so many pixels, uncompressed
MAX_SET_BYTES = 8 << 30  # of all images together, after resizing
NAMED = 5  # unreadable images of a set that a message names
BACKGROUND = (255, 255, 255)  # behind transparent pixels
BYTE_ORDERS = {b"II": "<", b"MM": ">"}  # of a TIFF
TIFF = 42  # its version; the one for files above 4 GiB is another
TAG_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 11: 4}  # by type; 8 of all others
WIDE_MODES = ("I", "F")  # 32 bits a channel, of which nobody says what is white
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, MemoryError, zlib.error, struct.error)


def read_images(path: Path, resolution: int, most: int | None = None) -> Tensor:
    """Every image of a folder or a .zip, by name, cropped to the centre square and resized (antialiased).

    Transparent pixels become white; EXIF rotation is applied.

    Args:
        path: a folder or a .zip that holds images; other files in it are left out (`find_pictures`).
        resolution: side R of the result.
        most: images, the first ones; None for all.

    Returns:
        img_u8 [M, 3, R, R], M >= 1.

    Raises:
        ImageError: missing, empty, not an image, damaged, or far too large; names the file.
    """
    import torch

    names = find_pictures(path).names[:most]
    size_bytes = len(names) * 3 * resolution * resolution
    if size_bytes > MAX_SET_BYTES:
        limit = f"at most {MAX_SET_BYTES >> 30} GiB"
        raise ImageError(f"{path}: {len(names)} images at {resolution} px take {size_bytes >> 30} GiB; {limit}")
    img_u8 = torch.empty((len(names), 3, resolution, resolution), dtype=torch.uint8)
    for i, image in enumerate(_decode_all(path, names)):
        if isinstance(image, ImageError):
            raise image
        img_u8[i] = torch.from_numpy(np.array(_to_square(image, resolution))).permute(2, 0, 1)
    return img_u8


@dataclass(frozen=True)
class Photo:
    """One picture as a generator sees it."""

    img_u8: Tensor
    """[1, 3, R, R] bytes: the centre square."""
    width: int
    """Pixels of the file, the right side up."""
    height: int


def read_photo(path: Path, resolution: int) -> Photo:
    """One image file, as `read_images` reads those of a set.

    Args:
        path: the file.
        resolution: side R of the result.

    Raises:
        ImageError: missing, not an image, damaged, or far too large.
    """
    import torch

    where = str(path)
    try:
        with open_regular(path) as file, _opened(where, file) as image:
            decoded = _decoded(where, image)
    except OSError as err:
        raise ImageError(f"{where}: cannot be read ({err.strerror or reason(err)}); expected a photo") from err
    pixels = torch.from_numpy(np.array(_to_square(decoded, resolution)))
    return Photo(pixels.permute(2, 0, 1)[None].contiguous(), decoded.width, decoded.height)


def check_images(path: Path) -> PictureSet:
    """What `read_images` reads of a folder or a .zip, every picture decoded as it decodes them.

    Raises:
        ImageError: as `read_images`; names the first pictures that cannot be read, and counts the others.
    """
    found = find_pictures(path)
    problems = [str(image) for image in _decode_all(path, found.names, quick=True) if isinstance(image, ImageError)]
    if problems:
        more = f"; and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise ImageError("; ".join(problems[:NAMED]) + more)
    return found


def _decode_all(path: Path, names: Sequence[str], quick: bool = False) -> Iterator[Image.Image | ImageError]:
    """Each image as RGB, or what is wrong with it, by the name to use in messages.

    Args:
        path: a folder or zip.
        names: of files in it.
        quick: whether a JPEG may come out small: it is read to its end all the same.
    """
    with ExitStack() as stack:
        archive = None if is_folder(path) else stack.enter_context(open_zip(path))
        for name in names:
            where = f"{path}/{name}"
            try:
                file = (path / name).open("rb") if archive is None else _member(archive, name, where)
                with file, _opened(where, file) as image:
                    if quick:
                        image.draft("RGB", (1, 1))
                    yield _decoded(where, image)
            except OSError as err:
                yield ImageError(f"{where}: cannot be read ({reason(err)}); replace or remove it")
            except ImageError as err:
                yield err


def _member(archive: zipfile.ZipFile, name: str, where: str) -> BinaryIO:
    """One zip member, in memory, bounded whatever its header claims."""
    try:
        with archive.open(name) as member:
            return io.BytesIO(member.read(MAX_FILE_BYTES + 1))
    except UNREADABLE_ZIP as err:
        raise ImageError(f"{where}: cannot be unpacked ({reason(err)}); make the zip again") from err


def _opened(where: str, file: BinaryIO) -> Image.Image:
    """An image whose header was read, and whose pixels are not too many."""
    size_bytes = file.seek(0, io.SEEK_END)
    if size_bytes == 0:
        raise ImageError(f"{where}: empty file (0 bytes); replace or remove it")
    if size_bytes > MAX_FILE_BYTES:
        raise ImageError(f"{where}: more than {MAX_FILE_BYTES >> 20} MiB; no image needs that")
    try:
        if not _tags_fit(file, size_bytes):
            raise ValueError("a directory larger than the file")
        file.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit follows; of odd metadata nothing is used
            image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as err:
        raise _too_large(where, re.findall("[0-9]+", str(err))[0]) from err
    except UNREADABLE as err:
        raise ImageError(f"{where}: not a readable image; expected {', '.join(FORMATS)} content") from err
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise _too_large(where, f"{image.width} x {image.height}")
    return image


def _too_large(where: str, size: str) -> ImageError:
    return ImageError(f"{where}: {size} pixels; at most {MAX_PIXELS // 10**6} million are read")


def _tags_fit(file: BinaryIO, size_bytes: int) -> bool:
    """Whether what a TIFF's directory points to is no more than the file: each of its entries is read whole, and all
    might point to the same bytes.
    """
    file.seek(0)
    head = file.read(8)
    if (order := BYTE_ORDERS.get(head[:2])) is None:
        return True  # no TIFF
    version, offset = struct.unpack(f"{order}HI", head[2:])
    file.seek(offset)
    (num,) = struct.unpack(f"{order}H", file.read(2))
    entries = struct.iter_unpack(f"{order}HHII", file.read(12 * num))
    pointed_to: int = sum(TAG_BYTES.get(kind, 8) * count for _, kind, count, _ in entries)
    return version == TIFF and pointed_to <= size_bytes


def _decoded(where: str, image: Image.Image) -> Image.Image:
    """To RGB over white, the right side up."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = ImageOps.exif_transpose(image)
        if image.mode in WIDE_MODES:
            raise ValueError("32 bits a channel; save it with 8 or 16")
        if image.mode.startswith("I;16"):  # 16 bits of grey: keep the upper 8
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), image)
        return image.convert("RGB")
    except (*UNREADABLE, Image.DecompressionBombError) as err:
        raise ImageError(f"{where}: damaged image ({reason(err)}); replace or remove it") from err


def _to_square(image: Image.Image, resolution: int) -> Image.Image:
    """Centre square, resized with an antialiasing filter."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Cropped first: the `box` of resize() would mix in pixels from beside the square.
    image = image.crop((left, top, left + side, top + side))
    return image if side == resolution else image.resize((resolution, resolution), Image.Resampling.LANCZOS)
