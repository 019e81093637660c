"""One night at a time in a project; the lock goes with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nada.errors import OutputError

LOCK_PATH = Path("weights/.night.lock")


@contextmanager
def only_night() -> Iterator[None]:
    """Keep a second night out of this project while one runs.

    Raises:
        OutputError: another night holds the lock, or it cannot be written.
    """
    try:
        LOCK_PATH.parent.mkdir(parents=True, exist_ok=True)
        file = LOCK_PATH.open("a+")
    except OSError as err:
        raise OutputError(f"{LOCK_PATH}: cannot be written ({err.strerror})") from err
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise OutputError(f"{LOCK_PATH}: another night runs here (process {holder}); wait for it") from err
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def night_lives() -> bool:
    """Whether a night runs in this project now."""
    try:
        with LOCK_PATH.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # no lock: no night has run here
    return False
