"""What of MLflow's records is known here: which row keys a store holds, and how nights ended that it was not told of.

Lines of `STORE KEY` in a file beside the project's own store, appended as runs are written, so that a night need not
ask about every finished row. It may be removed at any time: the store is then asked again, some milliseconds a row.
Lines of `STATUS MILLISECONDS NIGHT` in another, for stores that cannot be reached when a night ends.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path

from nada.atomic import replacing

NAME, ENDS_NAME = "recorded", "ended"
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


def note_end(folder: Path, night: str, status: str, ended_ms: int) -> None:
    """Remember how a night ended; a folder that cannot be written costs that alone."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ENDS_NAME).open("a", encoding="utf-8") as file:
            file.write(f"{status} {ended_ms} {night}\n")


def noted_ends(folder: Path) -> dict[str, tuple[str, int]]:
    """Night -> its status and when it ended, in milliseconds since 1970; torn lines are left out."""
    try:
        lines = (folder / ENDS_NAME).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found = (re.fullmatch(r"(FINISHED|FAILED) (\d+) (.+)", line) for line in lines)
    return {line[3]: (line[1], int(line[2])) for line in found if line is not None}
