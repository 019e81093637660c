"""A row that is made on another machine: what it reads goes there, and its folder comes back.

That machine keeps a mirror of the project, with the same relative paths, so that errors name files as params.yaml does;
what lies outside of the project is kept below `.outside`. Imports no torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from nada.atomic import writing
from nada.config import NONE, WEB, ClipConfig, names_a_file
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.download.judge_weights import network_files, wanted
from tasks.row.job import RowJob
from tasks.store import row_folder
from tasks.store.row_folder import Record
from tasks.workers.pool import RowFailedError

OUTSIDE = ".outside"
CONFIGS = "*.json"  # of guide.config_dir

Clip = TypeVar("Clip", bound=ClipConfig)


@dataclass(frozen=True)
class PackedRow:
    """A job as the other machine understands it."""

    job: RowJob
    """With paths of the mirror."""
    files: dict[str, Path]
    """Path in the mirror -> file on this machine."""
    pictures: str | None
    """Folder or zip of the mirror that may hold nothing else than these files."""


def pack(job: RowJob) -> PackedRow:
    """A job and every file that it reads."""
    params, references = job.params, job.row.reference_images
    paths = [Path(job.generator_path), *_files_of(params)]
    if references is not None:
        paths += [Path(references)] if Path(references).is_file() else _below(Path(references), "**/*")
    moved = replace(
        job,
        row=replace(job.row, reference_images=None if references is None else mirrored(references)),
        params=_mirrored_params(params),
        generator_path=mirrored(job.generator_path),
    )
    return PackedRow(moved, {mirrored(path): path for path in paths}, moved.row.reference_images)


def unpack(job: RowJob, files: Mapping[str, bytes]) -> Record:
    """Publish the folder of a row that was made elsewhere, as a worker here does; returns its record.

    Args:
        job: as it was before it was packed.
        files: name -> content.

    Raises:
        RowFailedError: it is not the whole row.
        OutputError: it cannot be written.
    """
    domain = job.row.domain
    partial = row_folder.partial_dir(domain)
    try:
        with writing(partial):
            for name, content in files.items():
                (partial / Path(name).name).write_bytes(content)
        if not row_folder.is_whole(partial, domain, job.key):
            raise RowFailedError(f"{domain}: what came back from another machine is not the whole row")
        made = json.loads(files[row_folder.RECORD_NAME])
        record = row_folder.write_record(partial, {**made, "row": asdict(job.row)})  # with the paths of this machine
        row_folder.publish(partial, domain)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    row_folder.state_path(domain).unlink(missing_ok=True)  # of an earlier night without Ray
    return record


def mirrored(path: str | Path) -> str:
    """A path's name in the mirror.

    >>> mirrored("clip/guide.safetensors"), mirrored("/data/./ffhq.pkl")
    ('clip/guide.safetensors', '.outside/data/ffhq.pkl')
    """
    path = Path(path)
    if path.is_absolute() or ".." in path.parts:
        return Path(OUTSIDE, *path.resolve().parts[1:]).as_posix()
    return path.as_posix()


def _files_of(params: Params) -> Iterator[Path]:
    """The networks that guide and judge. Tags of open_clip are fetched by each machine itself."""
    for clip in (*params.guide.models, params.judge.model):
        if names_a_file(clip.weights):
            yield Path(clip.weights)
    if params.guide.config_dir is not None:
        yield from _below(Path(params.guide.config_dir), CONFIGS)
    for _, setting, published in wanted(params.judge):
        fetched = [HERE.network_cache / one.file for one in published]
        yield from filter(Path.is_file, fetched) if setting == WEB else network_files(setting, *published)


def _below(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def _mirrored_params(params: Params) -> Params:
    """Only what a row opens: `generator.weights` is read before, and its name is kept in differences."""
    guide, judge = params.guide, params.judge
    has_configs = guide.config_dir is not None and _below(Path(guide.config_dir), CONFIGS)
    networks = {name: getattr(judge, name) for name in ("inception", "lpips")}
    moved = {name: value if value in (NONE, WEB) else mirrored(value) for name, value in networks.items()}
    return params.model_copy(
        update={
            "guide": guide.model_copy(
                update={
                    "models": tuple(_mirrored_clip(clip) for clip in guide.models),
                    "config_dir": mirrored(guide.config_dir) if guide.config_dir and has_configs else None,
                }
            ),
            "judge": judge.model_copy(update={"model": _mirrored_clip(judge.model), **moved}),
        }
    )


def _mirrored_clip(clip: Clip) -> Clip:
    return clip.model_copy(update={"weights": mirrored(clip.weights)}) if names_a_file(clip.weights) else clip
