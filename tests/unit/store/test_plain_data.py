"""Small JSON files: whatever stands in their place is read in bounded time, or is as good as absent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nada.errors import NadaError
from nada.hashing import sha256_file
from tasks.caches.stat_cache import StatCache
from tasks.config.project import HERE
from tasks.download.records import record_path, recorded_sha256
from tasks.plan.estimate import earlier_samples
from tasks.report.files import latest_night
from tasks.status.status_file import last_night_is_closed, left_by_the_last_night
from tasks.store.attempts import load_attempts
from tasks.store.old_record import read_old
from tasks.store.plain_data import USUAL_BYTES, read_json


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "deep lists": lambda path: path.write_text("[" * 5_000_000),
    "deep sections": lambda path: path.write_text('{"known":' * 1_000_000),
    "long number": lambda path: path.write_text("1" * 100_000),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "lone half of a letter": lambda path: path.write_bytes(b'"\xed\xa0\x80"'),
    "empty": Path.touch,
    "null": lambda path: path.write_text("null"),
    "other names": lambda path: path.write_text('{"a": {"b": [1]}}'),
}

READERS: dict[str, tuple[Path, Callable[[], Any], Any]] = {
    "attempts": (HERE.attempts, load_attempts, {}),
    "speeds": (HERE.speeds, earlier_samples, []),
    "status": (HERE.status, lambda: (left_by_the_last_night(), last_night_is_closed()), ([], True)),
    "known rows": (HERE.known_rows, lambda: StatCache(HERE.known_rows, str)._known, {}),
    "row of an older version": (HERE.adapted / "sketch" / "row.json", lambda: read_old(HERE.adapted / "sketch"), None),
    "night": (HERE.reports / "2026" / "night.json", latest_night, None),
    "fetched": (record_path(HERE.weights / "a.pkl"), lambda: recorded_sha256(HERE.weights / "a.pkl"), None),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_as_good_as_absent(damage: str, reader: str) -> None:
    path, read, absent = READERS[reader]
    assert read() == absent
    path.parent.mkdir(parents=True, exist_ok=True)
    DAMAGES[damage](path)
    assert read() == absent


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_no_json_is_one_of_two_errors(damage: str) -> None:
    path = Path("file.json")
    DAMAGES[damage](path)
    if damage in ("null", "other names"):
        read_json(path)
    else:
        with pytest.raises((OSError, ValueError)):
            read_json(path)


def test_no_more_is_read_than_allowed() -> None:
    path = Path("file.json")
    path.write_text("[1]" + " " * 97)
    assert read_json(path, most_bytes=100) == [1]
    with pytest.raises(ValueError, match=r"^more than 99 bytes$"):
        read_json(path, most_bytes=99)


@pytest.mark.parametrize("damage", ["pipe", "endless", "folder"])
def test_what_is_no_file_has_no_hash(damage: str) -> None:
    DAMAGES[damage](Path("file"))
    with pytest.raises(OSError, match="file"):
        sha256_file(Path("file"))


def test_a_link_to_a_file_is_read() -> None:
    Path("file").write_text("[1]")
    Path("link").symlink_to("file")
    assert read_json(Path("link")) == [1]
    assert sha256_file(Path("link")) == sha256_file(Path("file"))


def test_a_status_that_is_none_is_named() -> None:
    from tasks.status.status_file import load_status

    HERE.weights.mkdir()
    HERE.status.write_text("[" * 5_000_000)
    with pytest.raises(NadaError, match=r"^weights/\.night\.json: not the status of a night \("):
        load_status()


@pytest.mark.parametrize("size", [10, USUAL_BYTES - 1, USUAL_BYTES, USUAL_BYTES + 1, 3 * USUAL_BYTES])
def test_a_file_of_any_length_is_read_whole_or_refused(size: int) -> None:
    path = Path("some.json")
    path.write_text(f'"{"x" * (size - 2)}"')
    assert len(read_json(path, size)) == size - 2
    with pytest.raises(ValueError, match=f"more than {size - 1} bytes"):
        read_json(path, size - 1)
