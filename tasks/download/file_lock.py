"""Files that one process at a time may write; the lock goes with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nada.atomic import writing
from nada.errors import FetchError


@contextmanager
def sole_writer(path: Path) -> Iterator[BinaryIO]:
    """The file, open to append, locked: a second fetch of the same file is refused.

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
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as err:
                raise FetchError(f"{path}: another nada is fetching this file; wait for it") from err
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
