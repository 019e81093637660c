"""The only conversions between ranges, grids and image files. torch is imported where images are read, not above:
planning checks thousands of headers without it.

Legend: N and M images, H W pixels, R resolution in pixels.
`img` is float RGB in [-1, 1]; `img_u8` is bytes, both [N, 3, H, W].
"""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from nada.atomic import replacing
from nada.errors import ImageError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # the only decoders that run, whatever a file calls itself
MAX_PIXELS = 64_000_000  # above any camera's portrait; a decoded image takes 3 bytes a pixel
MAX_FILE_BYTES = 64 << 20  # of one image, unpacked from a zip
MAX_SET_BYTES = 8 << 30  # of all images together, after resizing
NAMED = 5  # unreadable images of a set that a message names
BACKGROUND = (255, 255, 255)  # behind transparent pixels, between the cells of a grid
GAP_PX = 2  # between the cells of a grid
HALF_RANGE = 127.5  # half of 255: maps [-1, 1] to [0, 255]
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, zlib.error)
UNREADABLE_ZIP = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError)  # encrypted, too


def to_u8(img: Tensor) -> Tensor:
    """[N, 3, H, W] in [-1, 1] -> uint8, rounded; values outside the range are clamped."""
    _check_rgb("img", img)
    return ((img + 1) * HALF_RANGE).round().clamp(0, 255).byte()


def from_u8(img_u8: Tensor) -> Tensor:
    """uint8 [N, 3, H, W] -> float32 in [-1, 1]; `to_u8` undoes it exactly."""
    _check_rgb("img_u8", img_u8)
    return img_u8.float() / HALF_RANGE - 1


def levels_apart(one: Tensor, two: Tensor) -> tuple[int, float]:
    """Largest and mean difference of two sets of img_u8 [N, 3, H, W], in levels from 0 to 255."""
    apart = (one.short() - two.short()).abs()
    return int(apart.max()), float(apart.float().mean())


def read_images(path: Path, resolution: int) -> Tensor:
    """Every image of a folder or a .zip, by name, cropped to the centre square and resized (antialiased).

    Nothing is ever unpacked to disk. Transparent pixels become white; EXIF rotation is applied.

    Args:
        path: a folder or a .zip that holds images (png, jpg, webp, bmp); other files in it are ignored.
        resolution: side R of the result.

    Returns:
        img_u8 [M, 3, R, R], M >= 1.

    Raises:
        ImageError: missing, empty, not an image, damaged, or far too large; names the file.
    """
    import torch

    names = _image_names(path)
    size_bytes = len(names) * 3 * resolution * resolution
    if size_bytes > MAX_SET_BYTES:
        limit = f"at most {MAX_SET_BYTES >> 30} GiB"
        raise ImageError(f"{path}: {len(names)} images at {resolution} px take {size_bytes >> 30} GiB; {limit}")
    img_u8 = torch.empty((len(names), 3, resolution, resolution), dtype=torch.uint8)
    for i, (where, image) in enumerate(_open_all(path, names)):
        try:
            square = _to_square(image, resolution)
        except UNREADABLE as err:
            raise ImageError(f"{where}: damaged image ({_reason(err)}); replace or remove it") from err
        img_u8[i] = torch.from_numpy(np.array(square)).permute(2, 0, 1)
    return img_u8


def count_images(path: Path) -> int:
    """Number of images in a folder or a .zip, every header checked and no pixel decoded.

    Raises:
        ImageError: missing, no image in it, or files that are no images; names the first of them.
    """
    problems: list[str] = []
    num = sum(1 for _ in _open_all(path, _image_names(path), problems))
    if problems:
        more = f"; and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise ImageError("; ".join(problems[:NAMED]) + more)
    return num


def grid(img_u8: Tensor, columns: int) -> Image.Image:
    """[N, 3, H, W] bytes as one picture, row by row; cells left over stay white."""
    _check_rgb("img_u8", img_u8)
    if img_u8.shape[0] == 0 or columns < 1:
        raise ShapeError(f"grid: needs an image and a column, got {img_u8.shape[0]} images and {columns} columns")
    num, _, height, width = img_u8.shape
    columns = min(columns, num)
    rows = -(-num // columns)
    size = (columns * (width + GAP_PX) - GAP_PX, rows * (height + GAP_PX) - GAP_PX)
    sheet = Image.new("RGB", size, BACKGROUND)
    for i, cell in enumerate(img_u8.cpu().permute(0, 2, 3, 1).contiguous().numpy()):
        sheet.paste(Image.fromarray(cell), (i % columns * (width + GAP_PX), i // columns * (height + GAP_PX)))
    return sheet


def before_after(source_u8: Tensor, target_u8: Tensor, columns: int) -> Image.Image:
    """Rows in pairs: the source's images above, the adapted ones of the same latents right below.

    Args:
        source_u8: [N, 3, H, W] bytes of the source generator.
        target_u8: the same shape, from the same latents after adaptation.
        columns: pairs side by side.
    """
    if source_u8.shape != target_u8.shape or source_u8.shape[0] == 0:
        raise ShapeError(f"before_after: {list(source_u8.shape)} images above, {list(target_u8.shape)} below")
    pairs = [grid(half, columns) for i in range(0, source_u8.shape[0], max(columns, 1))
             for half in (source_u8[i : i + columns], target_u8[i : i + columns])]  # fmt: skip
    gaps = [GAP_PX if i % 2 == 0 else 4 * GAP_PX for i in range(len(pairs))]  # a wider one after each pair
    height = sum(row.height for row in pairs) + sum(gaps[:-1])
    sheet = Image.new("RGB", (pairs[0].width, height), BACKGROUND)
    top = 0
    for row, gap in zip(pairs, gaps, strict=True):
        sheet.paste(row, (0, top))
        top += row.height + gap
    return sheet


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG whole or not at all: beside the target first, then renamed.

    Raises:
        OutputError: the folder cannot be written.
    """
    with replacing(path) as partial:
        image.save(partial, format="PNG", optimize=True)


def _check_rgb(name: str, images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ShapeError(f"{name}: expected [N, 3, H, W], got {list(images.shape)}")


def _reason(err: BaseException) -> str:
    return str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__


def _is_image_name(name: str) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") and part != ".." for part in parts) or "__MACOSX" in parts
    return not hidden and name.lower().endswith(SUFFIXES)


def _image_names(path: Path) -> list[str]:
    """Names of the image files in a folder or zip, sorted; at least one."""
    if path.is_dir():
        names = [entry.name for entry in path.iterdir() if _is_image_name(entry.name) and entry.is_file()]
    elif path.is_file():
        with _open_zip(path) as archive:
            names = [name for name in archive.namelist() if _is_image_name(name)]
    else:
        raise ImageError(f"{path}: no such file or folder; expected a folder or a .zip of images")
    if not names:
        raise ImageError(f"{path}: no images in it; expected files that end in {', '.join(SUFFIXES)}")
    return sorted(names)


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except UNREADABLE_ZIP as err:
        raise ImageError(f"{path}: not a whole zip ({_reason(err)}); expected a folder or a .zip of images") from err
    with archive:
        yield archive


def _open_all(path: Path, names: list[str], problems: list[str] | None = None) -> Iterator[tuple[str, Image.Image]]:
    """Each image, header read and checked, with the name to use in messages; where `problems` is given, it collects
    what is wrong and the rest goes on.
    """
    with ExitStack() as stack:
        archive = None if path.is_dir() else stack.enter_context(_open_zip(path))
        for name in names:
            where = f"{path}/{name}"
            try:
                file = path / name if archive is None else io.BytesIO(_read_member(archive, name, where))
                image = _open_image(where, file)
            except ImageError as err:
                if problems is None:
                    raise
                problems.append(str(err))
                continue
            with image:
                yield where, image


def _read_member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    """The bytes of one zip member, in memory, bounded whatever its header claims."""
    try:
        with archive.open(name) as member:
            content = member.read(MAX_FILE_BYTES + 1)
    except UNREADABLE_ZIP as err:
        raise ImageError(f"{where}: cannot be unpacked ({_reason(err)}); make the zip again") from err
    if len(content) > MAX_FILE_BYTES:
        raise ImageError(f"{where}: more than {MAX_FILE_BYTES >> 20} MiB unpacked; no image needs that")
    return content


def _open_image(where: str, file: Path | io.BytesIO) -> Image.Image:
    size_bytes = file.stat().st_size if isinstance(file, Path) else len(file.getbuffer())
    if size_bytes == 0:
        raise ImageError(f"{where}: empty file (0 bytes); replace or remove it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
            image = Image.open(file, formats=FORMATS)
    except UNREADABLE as err:
        raise ImageError(f"{where}: not a readable image; expected {', '.join(FORMATS)} content") from err
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width} x {image.height} pixels"
        image.close()
        raise ImageError(f"{where}: {size}; at most {MAX_PIXELS // 10**6} million are read")
    return image


def _to_square(image: Image.Image, resolution: int) -> Image.Image:
    """Decode, to RGB over white, centre square, resize with an antialiasing filter."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):  # 16 bits of grey: keep the upper 8
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), image)
    image = image.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Cropped first: the `box` of resize() would mix in pixels from beside the square.
    image = image.crop((left, top, left + side, top + side))
    return image if side == resolution else image.resize((resolution, resolution), Image.Resampling.LANCZOS)
