"""Files and folders that people name, whatever they write and whatever is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from nada.errors import NadaError


def is_file(path: str | Path) -> bool:
    """Whether there is a file, or a link to one; no text is too long to be asked about."""
    try:
        return Path(path).is_file()
    except OSError:  # pathlib answers some of the system's refusals and raises others
        return False


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder, or a link to one; likewise."""
    try:
        return Path(path).is_dir()
    except OSError:
        return False


def read_bytes(path: Path, most: int, error: type[NadaError], way_out: str) -> bytes:
    """The content of a file, of whatever kind, that should not be large.

    Args:
        path: the file.
        most: bytes that it may hold; no more are ever read.
        error: what to raise.
        way_out: what to do where the file is missing.

    Raises:
        NadaError: of that kind: missing, not to be read, or too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError as err:
        raise error(f"{path}: no such file; {way_out}") from err
    except (OSError, ValueError) as err:
        raise error(f"{path}: cannot be read ({getattr(err, 'strerror', None) or err})") from err
    if len(content) > most:
        raise error(f"{path}: more than {most:,} bytes; is this the file that was meant?")
    return content


def files_below(folder: Path, most: int, error: type[NadaError]) -> Iterator[Path]:
    """Everything in a folder and in those below it that is no folder, in no order; links to folders are followed.

    A folder that cannot be listed, or that was met before, comes itself, so that nobody misses it in silence.

    Args:
        folder: where to begin.
        most: so many files and folders at most: somebody may have named a whole disk.
        error: what to raise where there are more.

    Raises:
        NadaError: of that kind.
    """
    waiting, num = [folder], 0
    met = {None, _identity(folder)}
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as listed:  # it knows without asking the system what is a folder
                entries = list(islice(listed, most - num + 1))
        except OSError:
            yield place
            continue
        if (num := num + len(entries)) > most:
            raise error(f"{folder}: more than {most} files; name a folder of what is meant alone")
        for entry in entries:
            path = place / entry.name
            if not _is_folder(entry) or (identity := _identity(path)) in met:
                yield path
            else:
                met.add(identity)
                waiting.append(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle
        return False


def _identity(folder: Path) -> tuple[int, int] | None:
    """None where it is gone, or may not be looked at."""
    try:
        stat = folder.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
