"""What of MLflow's records is known here: which rows a store holds, and how nights ended that it was not told of.

Lines of `STORE ROW` in a file beside the project's own store, appended as runs are written, so that a night need not
ask about every finished row. It may be removed at any time: the store is then asked again, some milliseconds a row.
Lines of `STATUS MILLISECONDS NIGHT` in another, for stores that cannot be reached when a night ends.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path

from nada.atomic import replacing
from tasks.store.record import Record

NAME, ENDS_NAME = "recorded", "ended"
ID_LENGTH = 64


def store_name(uri: str, experiment_id: str, created: int | None) -> str:
    """A short name for one experiment of one store; one that was removed and made again has another."""
    return hashlib.sha256(f"{uri} {experiment_id} {created}".encode()).hexdigest()[:16]


def row_id(record: Record) -> str:
    """What one run tells of: a domain, as it was made and as it was judged. 64 hexadecimal digits."""
    parts = (record.domain, record.making.key, record.evaluation.key)
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def known_rows(folder: Path, store: str) -> set[str]:
    """Ids of the rows that a store is known to hold; torn lines are left out."""
    try:
        lines = (folder / NAME).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return set()
    pairs = (line.partition(" ") for line in lines)
    return {row for name, _, row in pairs if name == store and len(row) == ID_LENGTH}


def remember(folder: Path, store: str, row: str) -> None:
    """Add a row's id; a folder that cannot be written costs time alone."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / NAME).open("a", encoding="utf-8") as file:
            file.write(f"{store} {row}\n")


def forget(folder: Path, store: str, row: str) -> None:
    """Drop the id of a row whose run is about to be replaced.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        if f"{store} {row}".encode() not in (folder / NAME).read_bytes():
            return  # as of every new row: whatever else is there need not be taken apart
    except OSError:
        return
    known = known_rows(folder, store)
    if row in known:
        with replacing(folder / NAME) as partial:
            partial.write_text("".join(f"{store} {kept}\n" for kept in sorted(known - {row})), encoding="utf-8")


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
