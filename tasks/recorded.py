"""Which row keys a store of MLflow is known to hold, so that a night need not ask it about every finished row.

Lines of `STORE KEY` in a file beside the project's own store, appended as runs are written. It may be removed at any
time: the store is then asked again, some milliseconds a row.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from nada.atomic import replacing

NAME = "recorded"
KEY_LENGTH = 64


def store_name(uri: str, experiment_id: str, created: int | None) -> str:
    """A short name for one experiment of one store; one that was removed and made again has another."""
    return hashlib.sha256(f"{uri} {experiment_id} {created}".encode()).hexdigest()[:16]


def known_keys(folder: Path, store: str) -> set[str]:
    """Keys of the rows that a store is known to hold; torn lines are left out."""
    try:
        lines = (folder / NAME).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return set()
    pairs = (line.partition(" ") for line in lines)
    return {key for name, _, key in pairs if name == store and len(key) == KEY_LENGTH}


def remember(folder: Path, store: str, key: str) -> None:
    """Add a key; a folder that cannot be written costs time alone."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / NAME).open("a", encoding="utf-8") as file:
            file.write(f"{store} {key}\n")


def forget(folder: Path, store: str, key: str) -> None:
    """Drop a key whose run is about to be replaced.

    Raises:
        OutputError: the file cannot be written.
    """
    kept = known_keys(folder, store) - {key}
    if kept != known_keys(folder, store):
        with replacing(folder / NAME) as partial:
            partial.write_text("".join(f"{store} {known}\n" for known in sorted(kept)), encoding="utf-8")
