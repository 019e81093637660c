"""A generator of the registry, fetched once and known by its checksum from then on.

Beside `FILE` lies `FILE.fetched.json`: {"name", "address", "sha256", "bytes", "etag", "fetched": ISO 8601}. Where the
registry gives no checksum, the one in there is enforced.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from nada.atomic import replacing, writing
from nada.errors import CheckpointError, FetchError
from nada.hashing import sha256_file
from tasks.download.registry import Entry
from tasks.download.transfer import Arrived, News, Patience, download

READING = "reading it through, as no checksum of it is known yet"


@dataclass(frozen=True)
class Fetched:
    """A file that is there, whole."""

    path: Path
    sha256: str
    bytes: int
    is_new: bool
    """False: it lay there already."""
    checked_by: str
    """What its checksum was compared with; empty where there was none yet."""


def fetch(
    name: str,
    entry: Entry,
    folder: Path,
    force: bool = False,
    patience: Patience | None = None,
    tell: Callable[[News], None] = lambda news: None,
) -> Fetched:
    """Have an entry's file in a folder, its checksum checked; a file that lies there already is kept.

    Args:
        name: the entry's name.
        entry: what to fetch.
        folder: where to.
        force: fetch it anew, and forget the checksum of an earlier fetch; the registry's stays in force.
        patience: time limits and retries.
        tell: called with the progress.

    Raises:
        FetchError: it cannot be fetched, or its checksum differs.
        CheckpointError: it has no checksum yet, and cannot be read; it stays, and none is recorded.
        OutputError: the folder cannot be written, or the disk is too small.
    """
    path = folder / entry.file
    known, checked_by = entry.sha256, "the registry"
    if known is None and not force:
        known, checked_by = recorded_sha256(path), "the first fetch"
    is_new = force or not path.exists()
    arrived = download(path, entry.addresses, known, patience, tell) if is_new else _at_hand(path)
    if known not in (None, arrived.sha256):
        way_out = f"nada weights fetch {name} --force fetches it anew"
        raise FetchError(f"{path}: sha256 {arrived.sha256} differs from that of {checked_by} ({known}); {way_out}")
    if known is None:
        tell(News(done_bytes=arrived.bytes, total_bytes=arrived.bytes, said=READING))
        _refuse_unreadable(name, path)
    if known is None or is_new:
        _record(path, name, arrived)
    return Fetched(path, arrived.sha256, arrived.bytes, is_new=is_new, checked_by=checked_by if known else "")


def record_path(path: Path) -> Path:
    """Where a file's record lies."""
    return path.with_name(path.name + ".fetched.json")


def recorded_sha256(path: Path) -> str | None:
    """The checksum of a file's first fetch; None where there was none, or its record is damaged."""
    try:
        return str(json.loads(record_path(path).read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _at_hand(path: Path) -> Arrived:
    """A file that lies there already, from wherever."""
    with writing(path):
        return Arrived(None, sha256_file(path), path.stat().st_size, None)


def _refuse_unreadable(name: str, path: Path) -> None:
    """A checksum is worth keeping only of a file that can be used; a server may have cut it short."""
    from nada.checkpoints import read_any

    try:
        read_any(path)
    except CheckpointError as err:
        raise CheckpointError(f"{err} (nada weights fetch {name} --force fetches it anew)") from err


def _record(path: Path, name: str, arrived: Arrived) -> None:
    facts = {"name": name, **asdict(arrived), "fetched": datetime.now().astimezone().isoformat(timespec="seconds")}
    with replacing(record_path(path)) as partial:
        partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
