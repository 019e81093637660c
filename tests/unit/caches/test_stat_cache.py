"""What was found in a file is known while the file is as it was, and the file had settled when it was read."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.caches import stat_cache
from tasks.caches.stat_cache import StatCache


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as settled."""
    monkeypatch.setattr(stat_cache, "SETTLED_NS", -3_600_000_000_000)
    path = tmp_path / "page"
    path.write_text("first")
    return path


def rewrite(page: Path) -> int:
    """Write as many letters as there were, a second later: where times are coarse, a moment later would not be seen."""
    changed_ns = page.stat().st_mtime_ns
    num = page.write_text("other")
    os.utime(page, ns=(changed_ns, changed_ns + 1_000_000_000))
    return num


@pytest.fixture
def read(page: Path) -> list[str]:
    """What was read from it."""
    return []


@pytest.fixture
def ask(page: Path, read: list[str]) -> Callable[..., str]:
    """Ask for the page's text as a new process would."""

    def ask(name: str = "page", version: str = "", search: Callable[[], str] = page.read_text) -> str:
        def reading() -> str:
            read.append(search())
            return read[-1]

        cache = StatCache(page.with_name("known.json"), str)
        found = cache.find(name, version, lambda: [(page.name, page.stat())], reading)
        cache.keep([name])
        return found

    return ask


def test_an_untouched_file_is_read_once(ask: Callable[..., str], read: list[str]) -> None:
    assert [ask(), ask(), ask()] == ["first"] * 3
    assert read == ["first"]


def test_a_file_that_was_written_to_is_read_again(ask: Callable[..., str], page: Path) -> None:
    ask()
    rewrite(page)
    assert ask() == "other"


def test_another_version_is_another_finding(ask: Callable[..., str], read: list[str]) -> None:
    ask(version="1"), ask(version="2"), ask(version="2")
    assert read == ["first"] * 2


def test_names_that_were_not_asked_for_are_forgotten(ask: Callable[..., str], read: list[str]) -> None:
    ask("one"), ask("other"), ask("one")
    assert read == ["first"] * 3


def test_an_empty_finding_is_looked_for_again(ask: Callable[..., str], page: Path, read: list[str]) -> None:
    page.write_text("")
    assert [ask(), ask()] == read == ["", ""]


def test_a_file_that_changes_while_it_is_read_is_not_known(
    ask: Callable[..., str], page: Path, read: list[str]
) -> None:
    assert ask(search=lambda: f"{page.read_text()}{rewrite(page)}") == "first5"
    assert ask() == "other"


def test_a_file_that_changed_just_before_is_not_known_however_long_it_was_read(
    ask: Callable[..., str], read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    monkeypatch.setattr(stat_cache, "SETTLED_NS", 3_600_000_000_000)
    monkeypatch.setattr(stat_cache.time, "time_ns", lambda: now + len(read) * 36_000_000_000_000)
    assert [ask(), ask()] == ["first"] * 2
    assert len(read) == 2


def test_files_that_cannot_be_listed_are_not_known(tmp_path: Path) -> None:
    cache, gone = StatCache(tmp_path / "known.json", str), tmp_path / "gone"
    searches = iter(["first", "second"])
    for expected in ("first", "second"):
        assert cache.find("gone", "", lambda: [("gone", gone.stat())], lambda: next(searches)) == expected


@pytest.mark.parametrize("damage", [3, ["x"], None])
def test_a_finding_that_cannot_be_revived_is_looked_for_again(page: Path, read: list[str], damage: object) -> None:
    path = page.with_name("known.json")

    def ask() -> tuple[str, int]:
        cache = StatCache(path, lambda found: (str(found[0]), int(found[1])))
        found = cache.find("page", "", lambda: [(page.name, page.stat())], lambda: (page.read_text(), len(read)))
        cache.keep(["page"])
        return found

    ask()
    content = json.loads(path.read_text())
    content["known"]["page"][1] = damage
    path.write_text(json.dumps(content))
    read.append("damaged")
    assert ask() == ask() == ("first", 1)
