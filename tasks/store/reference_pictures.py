"""Reference pictures of rows, checked and hashed once while nobody touches them, however many rows and plans name them.

As in `tasks.store.whole_rows`, files are known by their stamps: name, size, inode and both times. What plans find is
kept in `weights/.references.json`, which may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

from nada.atomic import replacing
from nada.errors import OutputError
from tasks.config.project import HERE
from tasks.plan.keys import reference_hash
from tasks.store.whole_rows import SETTLED_NS, times

FORMAT = 1


@dataclass(frozen=True)
class References:
    """A folder or zip of true pictures."""

    sha256: str
    """`reference_hash`."""
    num_images: int


def look(path: str) -> References:
    """A folder or zip, every header checked and every byte hashed, unless it is known by its stamp.

    Raises:
        ImageError: missing, no image in it, or files that are no images.
        CheckpointError: a file cannot be read.
    """
    stamp = _digest(path)
    known = _known(Path.cwd())
    if (found := known.get(stamp)) is None:
        from nada.images import count_images

        num_images = count_images(Path(path))
        found = References(reference_hash(path), num_images)
        if _is_settled(path) and stamp == _digest(path):
            known[stamp] = found
    return found


def keep(paths: Iterator[str]) -> None:
    """Keep what is known of these for later plans; a folder that cannot be written costs time alone."""
    known = _known(Path.cwd())
    kept = {stamp: astuple(known[stamp]) for path in set(paths) if (stamp := _digest(path)) in known}
    if kept and kept != {stamp: astuple(found) for stamp, found in _load().items()}:
        with suppress(OutputError), replacing(HERE.known_references) as partial:
            partial.write_text(json.dumps({"format": FORMAT, "references": kept}), encoding="utf-8")


@cache
def _known(project: Path) -> dict[str, References]:
    """What this process knows of a project's references."""
    return _load()


def _load() -> dict[str, References]:
    try:
        content = json.loads(HERE.known_references.read_text(encoding="utf-8"))
        entries = content["references"] if content["format"] == FORMAT else {}
        return {stamp: References(str(sha256), int(num)) for stamp, (sha256, num) in entries.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # absent or damaged: everything is looked at again


def _digest(path: str) -> str:
    """One text for a path and the stamps of its files."""
    stamp = sorted((str(file), *times(stat)) for file, stat in _files(path))
    return hashlib.sha256(json.dumps([path, stamp]).encode()).hexdigest()


def _is_settled(path: str) -> bool:
    return max((stat.st_ctime_ns for _, stat in _files(path)), default=0) < time.time_ns() - SETTLED_NS


def _files(path: str) -> Iterator[tuple[Path, os.stat_result]]:
    """The file itself, or every file of the folder."""
    place = Path(path)
    for file in [place] if place.is_file() else place.rglob("*"):
        with suppress(OSError):
            yield file, file.stat()
