"""What was found in files, so that nobody need read them again while nobody touches them.

Files are known by their stamps: name, size, inode and both times. Whoever writes to a file, replaces it or touches it
changes the time of change, which no ordinary program can set back; what is asked of it is then found anew. What changes
bytes without the file system's knowledge, a failing disk, is not seen here.

The JSON file `{"format": 2, "known": {name: [digest of the stamps, what was found]}}` may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from nada.atomic import replacing
from nada.errors import InputError, OutputError
from tasks.store.plain_data import read_json

FORMAT = 2
SETTLED_NS = 2_000_000_000  # a file that changed later than this before it was read could change again within one tick

Found = TypeVar("Found")
Files = Iterable[tuple[str, os.stat_result]]


class _Stamp(NamedTuple):
    """One text for some files as they are, and when the last of them changed."""

    digest: str
    changed_ns: int


class StatCache(Generic[Found]):
    """Findings by name, each good for its files as they were."""

    def __init__(self, path: Path, revived: Callable[[Any], Found], is_lasting: Callable[[Found], bool] = bool) -> None:
        """Start from what was kept.

        Args:
            path: of the JSON file; absent or damaged, everything is found anew.
            revived: makes a finding of what JSON gives back; a TypeError, ValueError or the like where it is none.
            is_lasting: whether a finding is worth keeping.
        """
        self._path, self._revived, self._is_lasting = path, revived, is_lasting
        self._known = self._kept()
        self._refused: dict[str, tuple[str, InputError]] = {}

    def find(self, name: str, version: str, files: Callable[[], Files], search: Callable[[], Found]) -> Found:
        """What was found the last time if the files are as they were then, else what is found now.

        What cannot be used is refused as often as it is asked for, and for as long as this process lives without
        being read again.

        Args:
            name: what it is known by.
            version: what else must be the same.
            files: lists the files, by names that tell them apart; an OSError where they cannot be listed.
            search: reads them.
        """
        started_ns, before = time.time_ns(), _stamp(version, files)
        if before is None:
            return search()
        known = self._known.get(name)
        if known is not None and known[0] == before.digest:
            return known[1]
        is_settled = before.changed_ns < started_ns - SETTLED_NS
        if self._refused.get(name, ("", None))[0] == before.digest:
            raise self._refused[name][1]
        try:
            found = search()
        except InputError as err:
            if is_settled:
                self._refused[name] = before.digest, err
            raise
        if is_settled and self._is_lasting(found) and _stamp(version, files) == before:
            self._known[name] = before.digest, found
        return found

    def keep(self, names: Iterable[str]) -> None:
        """Keep what is known by these names, and nothing else; a place that cannot be written costs time alone."""
        known = {name: self._known[name] for name in dict.fromkeys(names) if name in self._known}
        if known != self._kept():
            with suppress(OutputError), replacing(self._path) as partial:
                partial.write_text(json.dumps({"format": FORMAT, "known": known}), encoding="utf-8")

    def _kept(self) -> dict[str, tuple[str, Found]]:
        try:
            content = read_json(self._path)
            known = content["known"] if content["format"] == FORMAT else {}
            return {name: (str(digest), self._revived(found)) for name, (digest, found) in known.items()}
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return {}


def _stamp(version: str, files: Callable[[], Files]) -> _Stamp | None:
    """None where they cannot be listed."""
    try:
        found = sorted((name, *times(stat)) for name, stat in files())
    except OSError:
        return None
    digest = hashlib.sha256(json.dumps([version, found]).encode()).hexdigest()
    return _Stamp(digest, max((changed for *_, changed in found), default=0))


def times(stat: os.stat_result) -> tuple[int, int, int, int]:
    """What changes whenever a file is written to, replaced or touched."""
    return stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns
