"""Features of pictures, kept between nights under what decides them: the pictures, network, weights and code.

`.cache/features/<sha256>.npz` holds one array with its own sha256. A file that cannot be read, or holds something
else, is computed again; one that cannot be written costs nothing but the time. Where all features of a set are kept,
no picture is opened or rendered. The folder may be removed at any time; the oldest files go when it grows too large.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor

from nada.atomic import replacing
from nada.errors import OutputError
from nada.judge import Judge, SetFeatures
from nada.picture_files import read_images
from tasks.config.project import HERE
from tasks.keys.inputs import evaluation_code, open_clip_version, reference_hash

FORMAT = 3  # raise it when the arrays change for a reason that the key does not see
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)

Arrays = dict[str, NDArray[Any]]


def kept_features(path: str, judge: Judge, resolution: int) -> SetFeatures | None:
    """What the cache holds of a folder or zip, if that is everything this judge asks for."""
    arrays = _kept(_reference_files(judge, reference_hash(path), resolution))
    return SetFeatures(**arrays) if arrays.keys() == judge.extractors().keys() else None


def reference_features(path: str, judge: Judge, resolution: int) -> SetFeatures:
    """`Judge.features` of a folder or zip, each array from the cache where it is there and whole.

    Raises:
        ImageError: the folder or zip holds an unreadable picture, or none.
    """
    content, extractors = reference_hash(path), judge.extractors()
    files = _reference_files(judge, content, resolution)
    arrays = _kept(files)
    if arrays.keys() != extractors.keys():
        img_u8 = read_images(Path(path), resolution)
        computed = {name: extractors[name].run(img_u8) for name in extractors if name not in arrays}
        if reference_hash(path) == content:  # else nobody knows which of the two was read
            for name, features in computed.items():
                _write(files[name], features)
        arrays |= computed
    return SetFeatures(**arrays)


def sample_features(
    about: str, judge: Judge, count: int, together: int, pictures: Callable[[int, int], Iterator[Tensor]]
) -> SetFeatures:
    """Features of a generator's first `count` samples; what is kept of fewer samples is gone on from.

    Args:
        about: what decides the samples: equal texts for equal pictures.
        judge: whose features.
        count: samples, M.
        together: samples that are rendered at once: only whole such groups are gone on from, so that the next ones are
            cut as ever and come out the same to the last bit.
        pictures: renders the samples from one to before another, in batches of img_u8 [N, 3, R, R].
    """
    extractors = judge.extractors()
    files = _files(judge, f"samples of {about}")
    kept = {name: array[:count] for name, array in _kept(files).items()}
    known = {name: array[: _whole(len(array), count, together)] for name, array in kept.items()}
    columns: dict[str, list[NDArray[Any]]] = {name: [known[name]] if name in known else [] for name in extractors}
    start = {name: len(known.get(name, ())) for name in extractors}
    place = min(start.values())
    for img_u8 in pictures(place, count) if place < count else ():
        for name, extractor in extractors.items():
            if len(missing := img_u8[max(0, start[name] - place) :]):
                columns[name].append(extractor.run(missing))
        place += len(img_u8)
    arrays = {name: np.concatenate(parts) for name, parts in columns.items()}
    for name, array in arrays.items():
        if start[name] < count:
            _write(files[name], array)
    return SetFeatures(**arrays)


def _whole(known: int, count: int, together: int) -> int:
    """How many of the known samples can be gone on from."""
    return count if known == count else known // together * together


def _reference_files(judge: Judge, content: str, resolution: int) -> dict[str, Path]:
    return _files(judge, f"{content} at {resolution} px")


def _files(judge: Judge, pictures: str) -> dict[str, Path]:
    """Where each array of a set is kept."""
    versions = f"torch {torch.__version__}, open_clip {open_clip_version()}, Pillow {PIL.__version__}"
    about = f"{FORMAT}\n{versions}, {evaluation_code()}\n{pictures}\n"
    keys = {name: about + extractor.identity for name, extractor in judge.extractors().items()}
    return {name: HERE.feature_cache / f"{hashlib.sha256(key.encode()).hexdigest()}.npz" for name, key in keys.items()}


def _kept(files: dict[str, Path]) -> Arrays:
    """The arrays that the cache holds."""
    arrays: Arrays = {}
    for name, file in files.items():
        with suppress(*UNREADABLE):
            arrays[name] = _read(file)
    return arrays


def _write(path: Path, features: NDArray[Any]) -> None:
    with suppress(OutputError), replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, features=features, sha256=np.array(_digest(features)))


def _read(path: Path) -> NDArray[Any]:
    """The array of a file, never anything that would have to be executed.

    Raises:
        ValueError: it is not the one that was written.
    """
    with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
        features: NDArray[Any] = content["features"]
        if str(content["sha256"]) != _digest(features):
            raise ValueError(f"{path}: damaged")
    return features


def _digest(features: NDArray[Any]) -> str:
    return hashlib.sha256(f"{features.dtype} {features.shape} ".encode() + features.tobytes()).hexdigest()
