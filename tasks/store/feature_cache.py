"""Features of reference pictures, kept between nights under what decides them: files, size, network, weights, code.

`.cache/features/<sha256>.npz` holds one array with its own sha256. A file that cannot be read, or holds something
else, is computed again; one that cannot be written costs nothing but the time. Where all features of a set are kept,
no picture is opened.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from numpy.typing import NDArray

from nada.atomic import replacing
from nada.errors import OutputError
from nada.images import read_images
from nada.judge import Judge, SetFeatures
from tasks.config.project import HERE
from tasks.plan.keys import method_hash, reference_hash

FORMAT = 2  # raise it when the arrays change for a reason that the key does not see
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)

Arrays = dict[str, NDArray[Any]]


def kept_features(path: str, judge: Judge, resolution: int) -> SetFeatures | None:
    """What the cache holds of a folder or zip, if that is everything this judge asks for."""
    arrays = _kept(_files(judge, reference_hash(path), resolution))
    return SetFeatures(**arrays) if arrays.keys() == judge.extractors().keys() else None


def reference_features(path: str, judge: Judge, resolution: int) -> SetFeatures:
    """`Judge.features` of a folder or zip, each array from the cache where it is there and whole.

    Raises:
        ImageError: the folder or zip holds an unreadable picture, or none.
    """
    content, extractors = reference_hash(path), judge.extractors()
    files = _files(judge, content, resolution)
    arrays = _kept(files)
    if arrays.keys() != extractors.keys():
        img_u8 = read_images(Path(path), resolution)
        computed = {name: extractors[name].run(img_u8) for name in extractors if name not in arrays}
        if reference_hash(path) == content:  # else nobody knows which of the two was read
            for name, features in computed.items():
                _write(files[name], features)
        arrays |= computed
    return SetFeatures(**arrays)


def _files(judge: Judge, content: str, resolution: int) -> dict[str, Path]:
    """Where each array of a set is kept."""
    versions = f"torch {torch.__version__}, Pillow {PIL.__version__}, {method_hash()}"
    pictures = f"{FORMAT}\n{versions}\n{content} at {resolution} px\n"
    keys = {name: pictures + extractor.identity for name, extractor in judge.extractors().items()}
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
