"""Files that one process at a time may hold; the kernel keeps the locks, which go with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout, lock_descriptor

from nada.atomic import writing
from nada.errors import FetchError, OutputError
from nada.hashing import open_regular
from tasks.config.project import HERE

GLANCE_SECONDS = 1.0  # a night that starts while somebody asks `night_lives` waits that long for the answer at most


_held: set[Path] = set()
"""Locks of nights that this process holds."""


@contextmanager
def only_night() -> Iterator[None]:
    """Keep a second night, and whoever else writes, out of this project; whoever has it may ask for it again.

    Raises:
        OutputError: another process holds the lock, or it cannot be written.
    """
    path, place = HERE.night_lock, HERE.night_lock.absolute()
    if place in _held:
        yield
        return
    try:
        held = FileLock(path, GLANCE_SECONDS, fallback_to_soft=False).acquire()
    except Timeout as err:
        holder = path.read_text().strip() or "unknown"
        raise OutputError(f"{path}: another night runs here (process {holder}); wait for it") from err
    except OSError as err:
        raise OutputError(f"{path}: cannot be written ({err.strerror})") from err
    with held:
        with writing(path):
            path.write_text(str(os.getpid()))
            HERE.pause.unlink(missing_ok=True)  # of a night that was killed in one
        _held.add(place)
        try:
            yield
        finally:
            _held.discard(place)


def holds_night() -> bool:
    """Whether this process has the lock of the night."""
    return HERE.night_lock.absolute() in _held


def refuse_during_a_night(path: Path) -> None:
    """Change nothing that the rows of a night that runs are made from, unless it is this process's own.

    Args:
        path: what would be changed.

    Raises:
        OutputError: such a night runs.
    """
    if not holds_night() and night_lives():
        raise OutputError(f"{path}: a night runs here; wait for it")


def night_lives() -> bool:
    """Whether a night runs in this project now.

    Asked by whoever may read the file, any number of them at once: filelock's locks are for one, who may write it.
    """
    try:
        with open_regular(HERE.night_lock) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # no lock: no night has run here
    return False


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process is in this block for the folder, which is there.

    Raises:
        OutputError: nothing can be written there.
    """
    path = folder / ".lock"
    with writing(path):
        held = FileLock(path, fallback_to_soft=False).acquire()
    with held:
        yield


@contextmanager
def sole_writer(path: Path) -> Iterator[BinaryIO]:
    """A file that may be renamed or removed while it is locked, open to append; a second writer is refused.

    It is its own lock, so that nothing stays beside it: hence no `FileLock`, which takes a file that was renamed while
    it waited for the one of that name.

    Raises:
        FetchError: another process holds it.
        OutputError: it cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with writing(path):
            file = path.open("ab")
        with file:
            with writing(path):
                is_held = lock_descriptor(file.fileno(), blocking=False)
            if not is_held:
                raise FetchError(f"{path}: another nada is fetching this file; wait for it")
            if not _is_at(path, file):
                continue  # renamed or removed before we held it
            try:
                yield file
            finally:
                if _is_at(path, file) and os.fstat(file.fileno()).st_size == 0:
                    path.unlink()
            return


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except OSError:
        return False
