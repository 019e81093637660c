"""Reference pictures of rows, checked and hashed once while nobody touches them, however many rows and plans name them.

What plans find is kept in `weights/.references.json` (`tasks.caches.stat_cache`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tasks.caches.stat_cache import Files, StatCache
from tasks.config.project import HERE
from tasks.keys.inputs import reference_hash


class References(NamedTuple):
    """A folder or zip of true pictures."""

    sha256: str
    """`reference_hash`."""
    num_images: int


def look(path: str) -> References:
    """A folder or zip, every header checked and every byte hashed, unless it is known.

    Raises:
        ImageError: missing, no image in it, or files that are no images.
        CheckpointError: a file cannot be read.
    """

    def count_and_hash() -> References:
        from nada.images import count_images

        num_images = count_images(Path(path))
        return References(reference_hash(path), num_images)

    return _known(Path.cwd()).find(path, "", lambda: _files(path), count_and_hash)


def keep(paths: Iterator[str]) -> None:
    """Keep what is known of these for later plans."""
    if named := list(paths):
        _known(Path.cwd()).keep(named)


@cache
def _known(project: Path) -> StatCache[References]:
    """What this process knows of a project's references."""
    return StatCache(project / HERE.known_references, lambda found: References(str(found[0]), int(found[1])))


def _files(path: str) -> Files:
    """The file itself, or every file of the folder."""
    place = Path(path)
    for file in [place] if place.is_file() else place.rglob("*"):
        with suppress(OSError):
            yield str(file), file.stat()
