"""One night at a time in a project; the lock goes with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from nada.errors import OutputError
from tasks.config.project import HERE


@contextmanager
def only_night() -> Iterator[None]:
    """Keep a second night out of this project while one runs.

    Raises:
        OutputError: another night holds the lock, or it cannot be written.
    """
    try:
        HERE.night_lock.parent.mkdir(parents=True, exist_ok=True)
        file = HERE.night_lock.open("a+")
    except OSError as err:
        raise OutputError(f"{HERE.night_lock}: cannot be written ({err.strerror})") from err
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise OutputError(f"{HERE.night_lock}: another night runs here (process {holder}); wait for it") from err
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def night_lives() -> bool:
    """Whether a night runs in this project now."""
    try:
        with HERE.night_lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # no lock: no night has run here
    return False
