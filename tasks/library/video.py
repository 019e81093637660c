"""Films of a walk through the latents, in one domain or from domain to domain.

Legend: F frames, N latents side by side, L style layers, W_DIM latent width, H W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nada.atomic import replacing
from nada.errors import LatentsError, OutputError, ParamsError, ShapeError
from nada.generators.domain import Domain
from nada.generators.light.generator import LightGenerator, mixed
from nada.generators.registry import Network
from nada.images import grid
from nada.judge.samples import render
from nada.latent_walks import MIN_KEYS, closed_walk, round_trip
from tasks.config.params import load_params
from tasks.library.domains import SOURCE, check_generator, open_domain, open_generator, open_source
from tasks.library.latents import Shown

FORMATS = (".mp4", ".gif")
MIN_CELL_PX = 256  # smaller pictures are enlarged: a film of 64 px is hard to watch
# x264: visually lossless. Its macroblock tree, in assembly, reads memory that nobody wrote, so that the same frames
# made other bytes each time (x264 inside PyAV 18.1, five runs); another number of threads does as well.
X264 = {"crf": "18", "mbtree": "0"}
X264_THREADS = 1
Frame = NDArray[np.uint8]
"""[H, W, 3] bytes, RGB."""


def film(
    domains: Sequence[str],
    params_path: Path,
    latents: Shown,
    num_keys: int,
    num_frames: int,
    device: str,
) -> Iterator[Frame]:
    """Frames of a closed walk: the first follows the last without a seam.

    Args:
        domains: one, or the stops of a round trip through several.
        params_path: params.yaml.
        latents: those of a seed walk side by side, N of them; those of a file are passed in turn, and a single one
            stands still.
        num_keys: latents that each walk of a seed passes.
        num_frames: F.
        device: where to render.

    Raises:
        CheckpointError, ParamsError: see `tasks.library.domains.open_domain`; too few frames.
        LatentsError: see `Shown.check`; or there are too few for a walk.
    """  # fmt: skip
    latents.check(domains, load_params(params_path))
    if len(domains) == 1:
        shown = open_domain(domains[0], params_path, device)
        for ws in _walks(shown, latents, num_keys, num_frames, False).unbind(dim=1):
            yield _frame(shown, ws)
        return
    for name in domains:
        check_generator(name)
    source = open_source(domains, params_path, device)
    assert isinstance(source, Network)
    stops = [name for name in dict.fromkeys(domains) if name != SOURCE]
    ends: dict[str, Network | LightGenerator] = {name: open_generator(name, params_path, device) for name in stops}
    walks = _walks(source, latents, num_keys, num_frames, True)  # [N, F, L, W_DIM]
    for frame, (leaves, nears, share) in enumerate(round_trip(len(domains), num_frames)):
        shares = ((domains[leaves], 1 - share), (domains[nears], share))
        yield _frame(_between(source, [(ends[name], part) for name, part in shares if name in ends]), walks[:, frame])


def _frame(domain: Domain, ws: Tensor) -> Frame:
    """The pictures of ws [N, L, W_DIM] side by side."""
    img_u8 = torch.cat(list(render(domain, ws, len(ws))))
    return _enlarged(grid(img_u8, math.ceil(math.sqrt(len(ws)))), domain.resolution)


def _walks(generator: Domain, latents: Shown, num_keys: int, num_frames: int, may_stand: bool) -> Tensor:
    """ws [N, F, L, W_DIM]; where what is drawn changes on the way, a single latent may stand still."""
    keys = latents.walks(generator, num_keys)
    num = len(keys[0])
    if may_stand and num == 1:
        return keys[0][:, None].expand(-1, num_frames, -1, -1)
    if num < MIN_KEYS:
        way_out = "" if may_stand else "; of one latent, name several domains to go through"
        raise LatentsError(f"{latents.path}: {num} latents; a walk passes {MIN_KEYS} or more{way_out}")
    try:
        return torch.stack([closed_walk(ws, num_frames) for ws in keys])
    except ShapeError as err:
        raise ParamsError(f"--keys: {num} latents in {num_frames} frames; give it more --seconds") from err


def _between(source: Network, parts: list[tuple[Network | LightGenerator, float]]) -> Domain:
    try:
        return mixed(source, parts)
    except ShapeError as err:
        raise ParamsError(f"video: {err}") from err


def _enlarged(picture: Image.Image, cell_px: int) -> Frame:
    """At least MIN_CELL_PX a cell, with even sides, as H.264 wants them."""
    scale = math.ceil(MIN_CELL_PX / cell_px)
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)
    frame = np.asarray(picture)
    return np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def check_format(path: Path) -> None:
    """Refuse a film whose format is unknown, before anything is rendered.

    Raises:
        ParamsError: neither .mp4 nor .gif.
    """
    if path.suffix.lower() not in FORMATS:
        raise ParamsError(f"--out: {path.name!r} is no film; its name ends in {' or '.join(FORMATS)}")


def write_film(frames: Iterator[Frame], frames_per_second: int, path: Path) -> None:
    """Write a film, whole or not at all: H.264 in .mp4, or an endless .gif.

    Raises:
        ParamsError: see `check_format`.
        OutputError: it cannot be written.
    """
    check_format(path)
    with replacing(path) as partial:
        if path.suffix.lower() == ".gif":
            pictures = (Image.fromarray(frame) for frame in frames)
            first, duration = next(pictures), round(1000 / frames_per_second)
            first.save(partial, format="GIF", save_all=True, append_images=pictures, duration=duration, loop=0)
        else:
            _write_mp4(frames, frames_per_second, partial)


def _write_mp4(frames: Iterator[Frame], frames_per_second: int, path: Path) -> None:
    import av

    first = next(frames)
    try:
        with av.open(str(path), "w", format="mp4") as container:
            stream: Any = container.add_stream("libx264", rate=frames_per_second)
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt, stream.options, stream.codec_context.thread_count = "yuv420p", X264, X264_THREADS
            for frame in chain([first], frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    except av.FFmpegError as err:
        raise OutputError(f"{path}: the film cannot be written ({err})") from err
