"""Pictures from any finished domain, as a grid or a folder of files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from nada.checkpoints import load_generator
from nada.checkpoints.canonical import read_header
from nada.errors import CheckpointError, ParamsError
from nada.images import grid, save_png
from nada.latents import draw_z, seeded_rng
from tasks import pretrained, rowcache
from tasks.judge import render
from tasks.params import load_params, nearest

SOURCE = "source"
CHUNK = 16  # latents are drawn in chunks of this size, so that a larger count begins with the same pictures
MAX_GRID_PIXELS = 100_000_000


def sample_grid(domain: str, params_path: Path, count: int, seed: int, psi: float, device: str, out: Path) -> None:
    """Write one picture with `count` samples in a grid.

    Raises:
        CheckpointError, ParamsError: see `samples`.
        OutputError: it cannot be written.
    """
    side = read_header(find_weights(domain, params_path)).config.resolution
    if count * side**2 > MAX_GRID_PIXELS:
        raise ParamsError(
            f"--count: {count} pictures are too many for one grid; use --folder, or {MAX_GRID_PIXELS // side**2}"
        )
    img_u8 = torch.cat(list(samples(domain, params_path, count, seed, psi, device)))
    save_png(grid(img_u8, math.ceil(math.sqrt(count))), out)


def sample_folder(domain: str, params_path: Path, count: int, seed: int, psi: float, device: str, folder: Path) -> None:
    """Write `count` samples as folder/000000.png and so on.

    Raises:
        CheckpointError, ParamsError: see `samples`.
        OutputError: it cannot be written.
    """
    index = 0
    for img_u8 in samples(domain, params_path, count, seed, psi, device):
        for one in img_u8:
            save_png(grid(one[None], 1), folder / f"{index:06d}.png")
            index += 1


def samples(domain: str, params_path: Path, count: int, seed: int, psi: float, device: str) -> Iterator[Tensor]:
    """Batches of img_u8 [N, 3, R, R]; the same seed gives the same latents in every domain.

    Raises:
        CheckpointError: no such domain, or its weights are damaged.
        ParamsError: no such device.
    """
    path = find_weights(domain, params_path)
    try:
        generator = load_generator(path, device)
    except (RuntimeError, AssertionError) as err:  # torch's answers to an unknown or absent device
        raise ParamsError(f"--device: {device!r} cannot be used ({str(err).splitlines()[0]}); try cpu") from err
    rng = seeded_rng(seed)
    for start in range(0, count, CHUNK):
        z = draw_z(CHUNK, generator, rng)[: count - start]
        with torch.no_grad():
            ws = generator.mapping(z, psi)
        yield from render(generator, ws, CHUNK)


def find_weights(domain: str, params_path: Path) -> Path:
    """The weights of a finished domain, or of the source.

    Raises:
        CheckpointError: no such domain is finished.
    """
    if domain == SOURCE:
        return pretrained.prepare(load_params(params_path))
    finished = sorted(path.parent.name for path in rowcache.ADAPTED_DIR.glob(f"*/{rowcache.WEIGHTS_NAME}"))
    if domain not in finished:
        known = [SOURCE, *(name for name in finished if not name.startswith("."))]
        hint = nearest(domain, known) or f"; there are {', '.join(known)}"
        raise CheckpointError(f"{rowcache.ADAPTED_DIR}: no finished domain {domain!r}{hint}")
    return rowcache.ADAPTED_DIR / domain / rowcache.WEIGHTS_NAME
