"""The only conversions between ranges, and grids of pictures.

Legend: N images, H W pixels. `img` is float RGB in [-1, 1]; `img_u8` is bytes, both [N, 3, H, W].
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from nada.atomic import replacing
from nada.errors import ShapeError

if TYPE_CHECKING:
    from torch import Tensor

BACKGROUND = (255, 255, 255)  # between the cells of a grid
GAP_PX = 2  # between the cells of a grid
HALF_RANGE = 127.5  # half of 255: maps [-1, 1] to [0, 255]


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


def before_after(source_u8: Tensor, target_u8: Tensor, columns: int, true_u8: Tensor | None = None) -> Image.Image:
    """Rows in pairs: the source's images above, the adapted ones of the same latents right below, then the true ones.

    Args:
        source_u8: [N, 3, H, W] bytes of the source generator.
        target_u8: the same shape, from the same latents after adaptation.
        columns: latents side by side.
        true_u8: what the first N of them, or fewer, should look like; None where nobody knows.
    """
    if source_u8.shape != target_u8.shape or source_u8.shape[0] == 0:
        raise ShapeError(f"before_after: {list(source_u8.shape)} images above, {list(target_u8.shape)} below")
    levels = [source_u8, target_u8, *([] if true_u8 is None else [true_u8[: len(source_u8)]])]
    columns = max(columns, 1)
    groups = [
        [grid(level[i : i + columns], columns) for level in levels if i < len(level)]
        for i in range(0, len(source_u8), columns)
    ]
    rows = [row for group in groups for row in group]
    gaps = [gap for group in groups for gap in (*[GAP_PX] * (len(group) - 1), 4 * GAP_PX)]  # wider after each group
    height = sum(row.height for row in rows) + sum(gaps[:-1])
    sheet = Image.new("RGB", (rows[0].width, height), BACKGROUND)
    top = 0
    for row, gap in zip(rows, gaps, strict=True):
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
