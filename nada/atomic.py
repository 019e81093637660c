"""Files that are whole or absent, whoever else writes them at the same time."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nada.errors import OutputError

_UMASK = os.umask(0o022)  # can only be read by setting it
os.umask(_UMASK)
_numbers = itertools.count()
_PARTIAL = re.compile(r"\.(?P<pid>\d+)-\d+\.partial")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Whatever keeps the block from writing is reported as the path's.

    Raises:
        OutputError: the system refused.
    """
    try:
        yield
    except OSError as err:
        raise OutputError(f"{path}: cannot be written ({err.strerror or err})") from err


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; it takes that name when the block ends well, and vanishes otherwise.

    Nobody else writes to it: of two that replace one file at once, the last one's content is there, whole. Folders
    above are made.

    Raises:
        OutputError: the folder or the file cannot be written.
    """
    name = f"{path.name}.{os.getpid()}-{next(_numbers)}.partial"
    partial = path.parent / name  # of a folder such as `.`, too, which the system then refuses
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep_partials(path)
            yield partial
            partial.chmod(0o666 & ~_UMASK)  # some writers make files that only their owner may read
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def sweep_partials(path: Path) -> None:
    """Remove what processes that were killed left of their attempts to replace a file."""
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            left = entry.name.startswith(path.name) and _PARTIAL.fullmatch(entry.name, len(path.name))
            if left and not process_lives(int(left["pid"])):
                Path(entry.path).unlink(missing_ok=True)


def process_lives(pid: int) -> bool:
    """Whether a process of this machine has this id.

    >>> process_lives(os.getpid())
    True
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
