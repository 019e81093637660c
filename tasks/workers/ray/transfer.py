"""A job that is done on another machine: every file that it reads goes there.

That machine keeps a mirror of the project, with the same relative paths, so that errors name files as params.yaml does;
what lies outside of the project is kept below `.outside`. Of a row that others start from, what was made goes along,
and what that one started from. A row that is to be judged goes into a folder of its worker's own, for others may read
the one of its name. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from nada.config import NONE, WEB, ClipConfig, GuideConfig, JudgeConfig, Section, names_a_file
from nada.errors import ImageError
from nada.methods.registry import load_method
from nada.paths import files_below
from nada.picture_sets import MAX_FILES
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.row import PICTURES
from tasks.download.judge_weights import network_files, wanted
from tasks.row.job import CheckJob, EvaluateJob, GroupJob, Job, RetrieveJob, RowJob, Source
from tasks.store import prepared
from tasks.store.record import MAKING_NAME, RETRIEVAL_NAME, Making, RecordError, read_entry
from tasks.store.row_folder import EMBEDDINGS_NAME, JUDGED_NAMES
from tasks.workers.pool import RowFailedError

OUTSIDE = ".outside"
CONFIGS = "*.json"  # of guide.config_dir

Clip = TypeVar("Clip", bound=ClipConfig)


@dataclass(frozen=True)
class Packed:
    """A job as the other machine understands it."""

    job: Job
    """With paths of the mirror."""
    files: dict[str, Path]
    """Path in the mirror -> file on this machine."""
    pictures: tuple[str, ...] = ()
    """Folders and zips of the mirror that may hold nothing else than these files."""
    results: tuple[str, ...] = ()
    """Files of the mirror that the job writes; they come back, and are removed there."""
    passing: tuple[str, ...] = ()
    """Files and folders of the mirror that are removed with them."""
    shared: tuple[str, ...] = ()
    """Files of the mirror that it may write for other rows as well; they come back, and stay there."""


def pack(job: Job, pid: int = 0) -> Packed:
    """A job and every file that it reads.

    Args:
        job: with paths of this machine.
        pid: of the station that is to do it.

    Raises:
        RowFailedError: nothing was made of the row that is to be judged.
    """
    bag = Luggage()
    match job:
        case RowJob():
            return replace(bag.closed(bag.row(job)), shared=to_prepare([job]))
        case GroupJob():
            assert job.folder is None  # rows are verified on this machine alone
            packed = bag.closed(replace(job, rows=tuple(bag.row(row) for row in job.rows)))
            return replace(packed, shared=to_prepare(job.rows))
        case CheckJob():
            settings = tuple(one._replace(config=bag.settings(one.method, one.config)) for one in job.settings)
            return bag.closed(replace(job, rows=tuple(bag.row(row) for row in job.rows), settings=settings))
        case EvaluateJob():
            return _packed_evaluation(bag, job, kept_folder(job.row.domain, pid))
        case RetrieveJob():
            return _packed_retrieval(bag, job)
    raise TypeError(f"{type(job).__name__}: no job that travels")


def kept_folder(domain: str, pid: int) -> Path:
    """Where a station keeps a row that it made or is to judge: swept like a row that was never published."""
    return HERE.adapted / f".partial-{domain}-{pid}"


def mirrored(path: str | Path) -> str:
    """A path's name in the mirror.

    >>> mirrored("clip/guide.safetensors"), mirrored("/data/./ffhq.pkl")
    ('clip/guide.safetensors', '.outside/data/ffhq.pkl')
    """
    path = Path(path)
    if path.is_absolute() or ".." in path.parts:
        return Path(OUTSIDE, *path.resolve().parts[1:]).as_posix()
    return path.as_posix()


class Luggage:
    """The files of a job, gathered while its paths are replaced by those of the mirror."""

    def __init__(self) -> None:
        self.files: dict[str, Path] = {}
        self.pictures: dict[str, None] = {}
        self._params: dict[int, Params] = {}

    def closed(self, job: Job, results: tuple[str, ...] = (), passing: tuple[str, ...] = ()) -> Packed:
        """With everything in it."""
        return Packed(job, self.files, tuple(self.pictures), results, passing)

    def take(self, path: str | Path) -> str:
        """Take a file along; returns its name in the mirror."""
        name = mirrored(path)
        self.files[name] = Path(path)
        return name

    def row(self, job: RowJob) -> RowJob:
        """A row, with its pictures, its source and the networks."""
        pictures: dict[str, Any] = {
            column: self.picture_set(getattr(job.row, column)) for column in ("style_images", *PICTURES)
        }
        row = replace(job.row, **pictures)
        for key in filter(prepared.is_there, job.prepared):
            self.take(prepared.place(key).path)
        config = self.settings(job.method, job.config)
        return replace(job, row=row, config=config, params=self.params(job.params), source=self.source(job.source))

    def settings(self, method: str, config: Section) -> Section:
        """A row's settings, with the files that they name and that are there."""
        named = {name: file for name, file in load_method(method).files(config).items() if Path(file).is_file()}
        return config.model_copy(update={name: self.take(file) for name, file in named.items()})

    def picture_set(self, path: str | None) -> str | None:
        """A folder or zip of pictures."""
        if path is None:
            return None
        if (name := mirrored(path)) not in self.pictures:
            self.pictures[name] = None
            for file in [Path(path)] if Path(path).is_file() else files_below(Path(path), MAX_FILES, ImageError):
                if file.is_file():
                    self.take(file)
        return name

    def source(self, source: Source) -> Source:
        """What a row starts from. Of another row that is not there nothing goes along: whoever opens it says so."""
        on = source.on
        if on is not None:
            with suppress(RecordError):
                for path in made_files(HERE.adapted / on.domain):
                    self.take(path)
            on = replace(on, source=self.source(on.source))
        return replace(source, base_path=self.take(source.base_path), on=on)

    def params(self, params: Params) -> Params:
        """The networks that guide and judge; tags of open_clip are fetched by each machine itself.

        Only what a row opens: `generator.weights` is read before, and its name is kept in differences.
        """
        if id(params) not in self._params:  # rows share it, and so do those that travel
            changes = {"guide": self._guide(params.guide), "judge": self._judge(params.judge)}
            self._params[id(params)] = params.model_copy(update=changes)
        return self._params[id(params)]

    def _guide(self, guide: GuideConfig) -> GuideConfig:
        configs = [] if guide.config_dir is None else _below(Path(guide.config_dir), CONFIGS)
        for path in configs:
            self.take(path)
        config_dir = mirrored(guide.config_dir) if guide.config_dir and configs else None
        return guide.model_copy(update={"models": tuple(map(self._clip, guide.models)), "config_dir": config_dir})

    def _judge(self, judge: JudgeConfig) -> JudgeConfig:
        for _, setting, published in wanted(judge):
            fetched = [HERE.network_cache / one.file for one in published]
            for path in filter(Path.is_file, fetched) if setting == WEB else network_files(setting, *published):
                self.take(path)
        networks = {name: getattr(judge, name) for name in ("inception", "efficientnet", "faces", "lpips")}
        moved = {name: value if value in (NONE, WEB) else mirrored(value) for name, value in networks.items()}
        return judge.model_copy(update={"model": self._clip(judge.model), **moved})

    def _clip(self, clip: Clip) -> Clip:
        return clip.model_copy(update={"weights": self.take(clip.weights)}) if names_a_file(clip.weights) else clip


def to_prepare(rows: Sequence[RowJob]) -> tuple[str, ...]:
    """What rows need to be prepared and is not here: files that whoever makes one of them leaves."""
    keys = dict.fromkeys(key for row in rows for key in row.prepared)
    return tuple(mirrored(prepared.place(key).path) for key in keys if not prepared.is_there(key))


def made_files(folder: Path) -> Iterator[Path]:
    """The record of what was made of a row, and what it lists; what is judged beside it may change meanwhile.

    Raises:
        RecordError: nothing was made there, or it is damaged.
    """
    making = read_entry(folder / MAKING_NAME, Making)
    yield from (folder / Path(name).name for name in (MAKING_NAME, *making.files))


def _packed_evaluation(bag: Luggage, job: EvaluateJob, folder: Path) -> Packed:
    try:
        for path in made_files(Path(job.folder)):
            bag.files[(folder / path.name).as_posix()] = path
    except RecordError as err:
        raise RowFailedError(str(err)) from err
    moved = replace(job, row=bag.row(job.row), folder=folder.as_posix())
    return bag.closed(moved, tuple((folder / name).as_posix() for name in JUDGED_NAMES), (folder.as_posix(),))


def _packed_retrieval(bag: Luggage, job: RetrieveJob) -> Packed:
    moved = replace(job, params=bag.params(job.params))
    folders = [HERE.adapted / domain for domain, _, _ in job.rows]
    embeddings = [path for folder in folders if (path := folder / EMBEDDINGS_NAME).is_file()]
    results = tuple((folder / RETRIEVAL_NAME).as_posix() for folder in folders)
    return bag.closed(moved, results, tuple(bag.take(path) for path in embeddings))


def _below(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file())
