"""Features of reference images, kept between nights under what decides them: network, weights, resizing, pixels.

`.cache/features/<sha256>.npz` holds one array. A file that cannot be read, or holds something else, is computed
again; one that cannot be written costs nothing but the time.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nada.atomic import replacing
from nada.errors import OutputError
from nada.judge import Judge, SetFeatures
from nada.judge.features import Extractor

CACHE_DIR = Path(".cache/features")
FORMAT = 1  # raise it when the arrays change for a reason that the key does not see
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def cached_features(judge: Judge, img_u8: Tensor) -> SetFeatures:
    """`Judge.features`, each array from the cache where it is there and whole.

    Raises:
        ShapeError: no images, or a batch size below one.
    """
    pixels = hashlib.sha256(f"{list(img_u8.shape)} ".encode() + img_u8.contiguous().cpu().numpy().tobytes()).hexdigest()
    arrays = {name: _cached(extractor, img_u8, pixels) for name, extractor in judge.extractors().items()}
    return SetFeatures(**arrays)


def _cached(extractor: Extractor, img_u8: Tensor, pixels: str) -> NDArray[Any]:
    key = hashlib.sha256(f"{FORMAT}\n{extractor.identity}\n{pixels}".encode()).hexdigest()
    path = CACHE_DIR / f"{key}.npz"
    with suppress(*UNREADABLE):
        return _read(path, extractor.identity, len(img_u8))
    features = extractor.run(img_u8)
    with suppress(OutputError), replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, features=features, identity=np.array(extractor.identity))
    return features


def _read(path: Path, identity: str, num: int) -> NDArray[Any]:
    """The array of a file, never anything that would have to be executed.

    Raises:
        ValueError: another extractor's, of another number of images, or not finite.
    """
    with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
        features: NDArray[Any] = content["features"]
        if str(content["identity"]) != identity or len(features) != num or not np.isfinite(features).all():
            raise ValueError(f"{path}: not the features of these images")
    return features
