"""A finished row is hashed once, and again as soon as anybody touched it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.caches import stat_cache
from tasks.caches.whole_rows import whole_rows
from tasks.config.project import HERE
from tasks.store import row_folder
from tasks.store.record import EVALUATION_NAME, MAKING_NAME, RETRIEVAL_NAME
from tasks.store.row_folder import Keys, RowState
from tests.rows import KEYS, WEIGHTS_NAME, publish_whole

FOLDER = HERE.adapted / "sketch"
WEIGHTS = FOLDER / WEIGHTS_NAME


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project with one finished row."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stat_cache, "SETTLED_NS", -1_000_000_000)
    publish_whole("sketch")


def state(keys: Keys = KEYS) -> RowState:
    with whole_rows() as rows:
        return rows.state_of("sketch", keys)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rows that were read and hashed."""
    seen: list[str] = []
    check = row_folder.state_of

    def counted(domain: str, keys: Keys) -> RowState:
        seen.append(domain)
        return check(domain, keys)

    monkeypatch.setattr(row_folder, "state_of", counted)
    return seen


def test_an_untouched_row_is_hashed_once(hashed: list[str]) -> None:
    assert [state() for _ in range(3)] == ["whole"] * 3
    assert hashed == ["sketch"]


def overwrite_and_set_back() -> None:
    before = WEIGHTS.stat()
    while WEIGHTS.stat().st_ctime_ns == before.st_ctime_ns:  # where times are coarse, a moment later is the same
        WEIGHTS.write_bytes(b"garbage")  # as many bytes
        os.utime(WEIGHTS, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap() -> None:
    before = WEIGHTS.stat()
    other = WEIGHTS.with_name("other")
    other.write_bytes(b"garbage")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(WEIGHTS)


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda: WEIGHTS.write_bytes(b"weigh"), "absent"),
        (overwrite_and_set_back, "absent"),
        (swap, "absent"),
        (WEIGHTS.unlink, "absent"),
        (lambda: (FOLDER / MAKING_NAME).write_text("{"), "absent"),
        (lambda: (FOLDER / row_folder.SAMPLES_NAME).write_text("{"), "made"),
        (lambda: (FOLDER / EVALUATION_NAME).write_text("{"), "made"),
        (lambda: (FOLDER / RETRIEVAL_NAME).write_text("{"), "judged"),
    ],
    ids=[
        "truncated",
        "overwritten with its time set back",
        "replaced",
        "removed",
        "record damaged",
        "samples damaged",
        "evaluation damaged",
        "retrieval damaged",
    ],
)
def test_a_row_that_was_damaged_since_is_not_whole(damage: Callable[[], object], left: RowState) -> None:
    assert state() == "whole"
    damage()
    assert state() == left


@pytest.mark.parametrize(("part", "left"), [("making", "absent"), ("evaluation", "made"), ("retrieval", "judged")])
def test_another_key_is_another_row(part: str, left: RowState) -> None:
    assert state() == "whole"
    assert state(replace(KEYS, **{part: "9" * 64})) == left


def test_a_row_that_is_not_whole_is_hashed_every_time(hashed: list[str]) -> None:
    (FOLDER / RETRIEVAL_NAME).unlink()
    assert [state(), state()] == ["judged", "judged"]
    assert hashed == ["sketch"] * 2


def test_a_row_that_was_only_touched_is_hashed_again_and_kept(hashed: list[str]) -> None:
    assert state() == "whole"
    before = WEIGHTS.stat()
    while WEIGHTS.stat().st_mtime_ns == before.st_mtime_ns:
        WEIGHTS.touch()
    assert [state(), state()] == ["whole", "whole"]
    assert hashed == ["sketch"] * 2


def test_a_row_that_was_written_just_now_is_not_known_yet(hashed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stat_cache, "SETTLED_NS", 3_600_000_000_000)
    assert [state(), state()] == ["whole", "whole"]
    assert hashed == ["sketch"] * 2


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"format": 0, "known": {"sketch": "x"}}', '{"format": 2, "known": 3}',
     '{"format": 2, "known": {"sketch": "x"}}', '{"format": 2, "known": {"sketch": ["x", true]}}'],
)  # fmt: skip
def test_a_damaged_memory_only_costs_time(content: str, hashed: list[str]) -> None:
    HERE.known_rows.write_text(content)
    assert state() == "whole"
    assert hashed == ["sketch"]


def test_a_memory_that_cannot_be_written_only_costs_time(hashed: list[str]) -> None:
    HERE.known_rows.mkdir()
    assert [state(), state()] == ["whole", "whole"]
    assert hashed == ["sketch"] * 2
