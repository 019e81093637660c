"""A finished row is hashed once, and again as soon as anybody touched it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.config.project import HERE
from tasks.store import row_folder, stat_cache
from tasks.store.whole_rows import whole_rows

KEY = "0" * 64
WEIGHTS = HERE.adapted / "sketch" / row_folder.WEIGHTS_NAME


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project with one finished row."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stat_cache, "SETTLED_NS", -1_000_000_000)
    folder = row_folder.partial_dir("sketch")
    (folder / row_folder.WEIGHTS_NAME).write_bytes(b"weights")
    row_folder.write_record(folder, {"key": KEY, "domain": "sketch"})
    row_folder.publish(folder, "sketch")


def is_finished(key: str = KEY) -> bool:
    with whole_rows() as rows:
        return rows.is_finished("sketch", key)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rows that were read and hashed."""
    seen: list[str] = []
    check = row_folder.is_finished

    def counted(domain: str, key: str) -> bool:
        seen.append(domain)
        return check(domain, key)

    monkeypatch.setattr(row_folder, "is_finished", counted)
    return seen


def test_an_untouched_row_is_hashed_once(hashed: list[str]) -> None:
    assert [is_finished() for _ in range(3)] == [True] * 3
    assert hashed == ["sketch"]


def overwrite_and_set_back() -> None:
    before = WEIGHTS.stat()
    WEIGHTS.write_bytes(b"garbage")  # as many bytes
    os.utime(WEIGHTS, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap() -> None:
    before = WEIGHTS.stat()
    other = WEIGHTS.with_name("other")
    other.write_bytes(b"garbage")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(WEIGHTS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda: WEIGHTS.write_bytes(b"weigh"),
        overwrite_and_set_back,
        swap,
        WEIGHTS.unlink,
        lambda: WEIGHTS.with_name(row_folder.RECORD_NAME).write_text("{"),
    ],
    ids=["truncated", "overwritten with its time set back", "replaced", "removed", "record damaged"],
)
def test_a_row_that_was_damaged_since_is_not_finished(damage: Callable[[], object]) -> None:
    assert is_finished()
    damage()
    assert not is_finished()


def test_another_key_is_not_finished() -> None:
    assert is_finished()
    assert not is_finished("1" * 64)


def test_a_row_that_was_only_touched_is_hashed_again_and_kept(hashed: list[str]) -> None:
    assert is_finished()
    WEIGHTS.touch()
    assert [is_finished(), is_finished()] == [True, True]
    assert hashed == ["sketch"] * 2


def test_a_row_that_was_written_just_now_is_not_known_yet(hashed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stat_cache, "SETTLED_NS", 3_600_000_000_000)
    assert [is_finished(), is_finished()] == [True, True]
    assert hashed == ["sketch"] * 2


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"format": 0, "known": {"sketch": "x"}}', '{"format": 2, "known": 3}',
     '{"format": 2, "known": {"sketch": "x"}}', '{"format": 2, "known": {"sketch": ["x", true]}}'],
)  # fmt: skip
def test_a_damaged_memory_only_costs_time(content: str, hashed: list[str]) -> None:
    HERE.known_rows.write_text(content)
    assert is_finished()
    assert hashed == ["sketch"]


def test_a_memory_that_cannot_be_written_only_costs_time(hashed: list[str]) -> None:
    HERE.known_rows.mkdir()
    assert [is_finished(), is_finished()] == [True, True]
    assert hashed == ["sketch"] * 2
