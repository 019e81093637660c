from __future__ import annotations

import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from nada.errors import OutputError
from tasks.tracking import outbox
from tasks.tracking.outbox import Outbox


class Store:
    """An MLflow that takes nothing while it is shut, and never what it dislikes."""

    def __init__(self) -> None:
        self.shut = False
        self.disliked = self.odd = ""
        self.opened = 0
        self.written: list[str] = []

    def open(self) -> Any:
        if self.shut:
            raise OutputError("MLflow: database is locked")
        self.opened += 1
        return self

    notes = ("made anew",)

    def take(self, night: Any, entry: str) -> None:
        if entry == self.odd:
            raise KeyError(entry)
        if self.shut or entry == self.disliked:
            raise OutputError(f"MLflow: {entry} refused")
        self.written.append(entry)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(outbox, "time", SimpleNamespace(monotonic=lambda: now[0]))  # not that of other threads
    return now


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def books(store: Store) -> Outbox:
    books = Outbox(store.open)
    for entry in ("a", "b"):
        books.add(lambda night, entry=entry: store.take(night, entry))
    return books


def test_entries_are_written_in_order_in_one_night(store: Store, books: Outbox) -> None:
    books.write()
    books.add(partial(store.take, entry="c"))
    books.write()
    assert (store.opened, store.written) == (1, ["a", "b", "c"])


def test_what_a_shut_store_refused_is_written_later_and_once(store: Store, books: Outbox, clock: list[float]) -> None:
    store.shut = True
    with pytest.raises(OutputError, match="locked"):
        books.write()
    store.shut = False
    books.write()
    assert store.written == []  # it is left alone for a while
    clock[0] += outbox.REST_SECONDS
    books.write()
    assert sorted(store.written) == ["a", "b"]


def test_one_bad_entry_keeps_back_none_of_the_others(store: Store, books: Outbox) -> None:
    store.disliked = "a"
    with pytest.raises(OutputError, match="a refused"):
        books.write_last()
    assert store.written == ["b"]


def test_an_entry_that_breaks_off_in_any_way_keeps_back_none_of_the_others(store: Store, books: Outbox) -> None:
    store.odd = "a"
    with pytest.raises(KeyError, match="a"):
        books.write_last()
    assert store.written == ["b"]


def test_a_night_that_is_opened_before_its_entries_is_opened_once(store: Store, books: Outbox) -> None:
    assert (books.open(), store.opened, store.written) == (("made anew",), 1, [])
    books.write()
    assert (store.opened, store.written) == (1, ["a", "b"])


def test_a_store_that_is_shut_at_the_opening_is_left_alone_for_a_while(
    store: Store, books: Outbox, clock: list[float]
) -> None:
    store.shut = True
    with pytest.raises(OutputError, match="locked"):
        books.open()
    store.shut = False
    books.write()
    assert store.written == []
    clock[0] += outbox.REST_SECONDS
    books.write()
    assert store.written == ["a", "b"]


def test_the_end_of_the_night_does_not_wait_for_ever(store: Store, books: Outbox, clock: list[float]) -> None:
    def slow(night: Any) -> None:
        clock[0] += outbox.LAST_SECONDS
        raise OutputError("MLflow: no answer")

    for _ in range(100):
        books.add(slow)
    with pytest.raises(OutputError, match="no answer"):
        books.write_last()
    assert clock[0] <= 2 * outbox.LAST_SECONDS


def test_what_a_slow_store_has_no_time_for_is_not_lost_without_a_word(
    store: Store, books: Outbox, clock: list[float]
) -> None:
    def slow(night: Any) -> None:
        clock[0] += outbox.LAST_SECONDS
        store.take(night, "slow")

    books.add(slow)
    books.add(partial(store.take, entry="last"))
    with pytest.raises(OutputError, match="1 entries were not written within 60 s"):
        books.write_last()
    assert store.written == ["a", "b", "slow"]


def test_whoever_adds_waits_for_no_store_and_the_end_waits_for_what_is_at_it() -> None:
    answers, asked, store = threading.Event(), threading.Event(), Store()

    def slow(night: Any) -> None:
        asked.set()
        assert answers.wait(30)
        store.take(night, "slow")

    books = Outbox(store.open)
    books.start(lambda err: pytest.fail(str(err)))
    books.add(slow)
    assert asked.wait(30)  # a thread of the outbox's own is at it
    books.add(partial(store.take, entry="next"))
    assert store.written == []
    answers.set()
    books.write_last()
    assert store.written == ["slow", "next"]


def test_a_thread_that_is_refused_says_so_and_what_runs_is_told_between_entries() -> None:
    store, refused, told = Store(), threading.Event(), threading.Event()
    store.shut = True

    def tell(night: Any) -> None:
        told.set()

    books = Outbox(store.open, tell)
    books.start(lambda err: refused.set())
    assert refused.wait(30)
    assert not told.is_set()
    store.shut, books._rested = False, 0.0
    assert told.wait(30)
    books.write_last()


def test_a_night_that_is_broken_off_closes_what_it_opened_and_waits_for_no_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store()
    books = Outbox(store.open)
    books.leave(partial(store.take, entry="nothing is open"))
    books.open()
    books.leave(partial(store.take, entry="closed"))
    assert store.written == ["closed"]
    monkeypatch.setattr(outbox, "LEAVING_SECONDS", 0.01)
    never = threading.Event()
    books.leave(lambda night: never.wait(30))
    never.set()
