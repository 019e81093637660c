"""Reference pictures of rows, checked and hashed once while nobody touches them, however many rows and plans name them.

What plans find is kept in `weights/.references.json` (`tasks.caches.stat_cache`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from nada.errors import ImageError
from nada.paths import files_below
from nada.picture_sets import MAX_FILES
from tasks.caches.stat_cache import Files, StatCache
from tasks.config.project import HERE
from tasks.keys.inputs import reference_hash

VERSION = "decoded"
"""Of what is looked at; raise it when more is."""


class References(NamedTuple):
    """A folder or zip of true pictures."""

    sha256: str
    """`reference_hash`."""
    num_images: int
    left_out: str
    """What else is there and is not read, in words; empty where nothing is."""

    def in_words(self, path: str) -> str:
        """How many are read and what is not; empty where nothing is left out.

        >>> References("", 8, "2 .heic (a.heic, ...)").in_words("truth")
        'truth: 8 pictures are read; left out: 2 .heic (a.heic, ...)'
        """
        return self.left_out and f"{path}: {self.num_images} pictures are read; left out: {self.left_out}"


def look(path: str) -> References:
    """A folder or zip, every picture decoded and every byte hashed, unless it is known.

    Raises:
        ImageError: missing, no image in it, or files that are no images.
        CheckpointError: a file cannot be read.
    """

    def check_and_hash() -> References:
        from nada.picture_files import check_images

        found = check_images(Path(path))
        return References(reference_hash(path), len(found.names), found.left_out_in_words)

    return _known(Path.cwd()).find(path, VERSION, lambda: _files(path), check_and_hash)


def keep(paths: Iterator[str]) -> None:
    """Keep what is known of these for later plans."""
    if named := list(paths):
        _known(Path.cwd()).keep(named)


@cache
def _known(project: Path) -> StatCache[References]:
    """What this process knows of a project's references."""
    return StatCache(project / HERE.known_references, _revived)


def _revived(found: Any) -> References:
    sha256, num_images, left_out = found
    return References(str(sha256), int(num_images), str(left_out))


def _files(path: str) -> Files:
    """The file itself, or every file of the folder."""
    place = Path(path)
    for file in [place] if place.is_file() else files_below(place, MAX_FILES, ImageError):
        with suppress(OSError):
            yield str(file), file.stat()
