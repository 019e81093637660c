"""Pictures from any finished domain, or from a mix of several: a grid, a folder of files, a strip of domains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from nada.atomic import replacing
from nada.errors import LatentsError, ParamsError
from nada.generators.domain import Domain
from nada.images import BACKGROUND, GAP_PX, grid, save_png
from nada.judge.samples import render
from tasks.config.params import load_params
from tasks.library.domains import SOURCE, finished_domains, open_domain
from tasks.library.latents import CHUNK, Shown

MAX_GRID_PIXELS = 100_000_000
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"optimize": True}),
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
}
"""How a picture's name ends -> its format, and what Pillow is to know."""
MIN_LABEL_PX, LABEL_SHARE = 12, 6  # a label's height: a part of its row's, and never too small to read


def check_picture(option: str, path: Path) -> None:
    """Refuse a picture whose format is unknown, before anything is rendered.

    Raises:
        ParamsError: its name ends in none of `FORMATS`.
    """
    if path.suffix.lower() not in FORMATS:
        raise ParamsError(f"{option}: {str(path)!r} names no picture; its name ends in {', '.join(FORMATS)}")


def save_picture(image: Image.Image, path: Path) -> None:
    """Write a picture in the format that its name says, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    kind, options = FORMATS[path.suffix.lower()]
    with replacing(path) as partial:
        image.save(partial, format=kind, **options)


def sample_grid(generator: Domain, shown: Shown, out: Path) -> None:
    """Write one picture with all of the latents in a grid.

    Raises:
        LatentsError, ParamsError: too many for one picture, or see `Shown.batches`.
        OutputError: it cannot be written.
    """
    count = shown.num(generator)
    _check_size("--count", count, generator.resolution, "use --folder")
    img_u8 = torch.cat(list(drawn(generator, shown)))
    save_picture(grid(img_u8, math.ceil(math.sqrt(count))), out)


def sample_folder(generator: Domain, shown: Shown, folder: Path) -> int:
    """Write all of the latents as folder/000000.png and so on; returns how many.

    Raises:
        LatentsError, ParamsError: see `Shown.batches`.
        OutputError: it cannot be written.
    """
    index = 0
    for img_u8 in drawn(generator, shown):
        for one in img_u8:
            save_png(grid(one[None], 1), folder / f"{index:06d}.png")
            index += 1
    return index


def strip(domains: Sequence[str], params_path: Path, latents: Shown, device: str, out: Path) -> dict[str, str]:
    """Write one picture: a row a domain with its name, a column a latent, the source's pictures on top.

    Args:
        domains: in the order of the rows; all finished ones where there are none.
        params_path: params.yaml.
        latents: a column each.
        device: where to render.
        out: the picture; `check_picture` passes its name.

    Returns:
        Of finished domains that nobody named, those that cannot draw the latents, and why.

    Raises:
        CheckpointError, ParamsError: see `open_domain`; a domain of another size than the source.
        LatentsError: see `Shown.batches` and `Shown.check`.
        OutputError: it cannot be written.
    """
    shown = [SOURCE, *(name for name in domains or finished_domains() if name != SOURCE)]
    params = load_params(params_path)
    latents.check([SOURCE, *domains], params)
    rows: dict[str, Image.Image] = {}
    left_out: dict[str, str] = {}
    for name in shown:
        try:
            latents.check([name], params)
            generator = open_domain(name, params_path, device)
            count = latents.num(generator)
        except LatentsError as err:
            if name in (SOURCE, *domains):
                raise
            left_out[name] = str(err)
            continue
        side, of_source = generator.resolution, rows[SOURCE].height if rows else generator.resolution
        if side != of_source:
            raise ParamsError(f"{name}: {side} px beside the source's {of_source} px; name domains of one size")
        _check_size("--count", count * len(shown), side, f"with {len(shown)} domains, fewer latents")
        rows[name] = grid(torch.cat(list(drawn(generator, latents))), count)
    save_picture(labelled(list(rows), list(rows.values())), out)
    return left_out


def labelled(labels: Sequence[str], rows: Sequence[Image.Image]) -> Image.Image:
    """Rows of one size below each other, each with its label on the left."""
    font = ImageFont.load_default(max(MIN_LABEL_PX, rows[0].height // LABEL_SHARE))
    margin = MIN_LABEL_PX + math.ceil(max(font.getlength(label) for label in labels)) + MIN_LABEL_PX
    width, height = rows[0].size
    sheet = Image.new("RGB", (margin + width, len(rows) * (height + GAP_PX) - GAP_PX), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for index, (label, row) in enumerate(zip(labels, rows, strict=True)):
        top = index * (height + GAP_PX)
        draw.text((MIN_LABEL_PX, top + height / 2), label, fill="black", font=font, anchor="lm")
        sheet.paste(row, (margin, top))
    return sheet


def samples(generator: Domain, count: int, seed: int, psi: float) -> Iterator[Tensor]:
    """Batches of img_u8 [N, 3, R, R]; the same seed gives the same latents in every domain."""
    return drawn(generator, Shown(count=count, seed=seed, psi=psi))


def drawn(generator: Domain, shown: Shown) -> Iterator[Tensor]:
    """Batches of img_u8 [N, 3, R, R]."""
    for ws in shown.batches(generator):
        yield from render(generator, ws, CHUNK)


def _check_size(option: str, count: int, side: int, way_out: str) -> None:
    if count * side**2 > MAX_GRID_PIXELS:
        most = MAX_GRID_PIXELS // side**2
        raise ParamsError(f"{option}: {count} pictures are too many for one grid; {way_out}, or {most}")
