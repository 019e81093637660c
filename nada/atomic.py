"""Files that are whole or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nada.errors import OutputError

_UMASK = os.umask(0o022)  # can only be read by setting it
os.umask(_UMASK)


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

    Folders above are made.

    Raises:
        OutputError: the folder or the file cannot be written.
    """
    partial = path.parent / f"{path.name}.partial"  # of a folder such as `.`, too, which the system then refuses
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            partial.chmod(0o666 & ~_UMASK)  # some writers make files that only their owner may read
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
