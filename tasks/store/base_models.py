"""Copies of the generators that rows rebuild from, kept by content beside the domains.

They travel with the domains, and outlive a change of `generator.weights`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from nada.atomic import replacing, writing
from nada.hashing import sha256_file
from tasks.config.project import HERE
from tasks.store.record import MAKING_NAME, Making, RecordError, read_entry


def keep(generator_path: Path) -> Path | None:
    """Keep a copy of a canonical generator under its sha256; returns its path if it was missing or damaged.

    Raises:
        OutputError: it cannot be read or written.
    """
    with writing(HERE.base_models):
        if (place := missing(generator_path)) is None:
            return None
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        with replacing(place) as partial:
            shutil.copyfile(generator_path, partial)
        return place


def missing(generator_path: Path) -> Path | None:
    """Where the copy of a canonical generator should lie, if it is not there or has other bytes.

    Raises:
        OSError: the generator cannot be read.
    """
    sha256 = sha256_file(generator_path)
    place = HERE.base_models / f"{sha256}.safetensors"
    return None if _has(place, sha256) else place


def find(sha256: str, sha256_of: Callable[[Path], str] = sha256_file) -> Path | None:
    """A canonical generator with these bytes: the kept copy, or one that was prepared for rows to start from.

    Args:
        sha256: of its file.
        sha256_of: how files are hashed; whoever looks often remembers.
    """
    for path in (HERE.base_models / f"{sha256}.safetensors", *sorted(HERE.pretrained.glob("*.safetensors"))):
        if _has(path, sha256, sha256_of):
            return path
    return None


def _has(path: Path, sha256: str, sha256_of: Callable[[Path], str] = sha256_file) -> bool:
    try:
        return sha256_of(path) == sha256
    except OSError:
        return False


def prune() -> list[Path]:
    """Remove generators that no domain rebuilds from; returns their paths.

    A record that cannot be read may need any of them: then all stay.

    Raises:
        OutputError: one cannot be removed.
    """
    needed: set[str] = set()
    for path in HERE.adapted.glob(f"*/{MAKING_NAME}"):
        try:
            needed.update(read_entry(path, Making).bases)
        except RecordError:
            return []
    removed = [path for path in sorted(HERE.base_models.glob("*.safetensors")) if path.stem not in needed]
    for path in removed:
        with writing(path):
            path.unlink()
    return removed
