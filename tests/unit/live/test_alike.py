"""When rows that failed alike keep others from being tried, and when they do not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nada.errors import NadaError
from tasks.live.alike import Alike, kind_of
from tasks.plan.queue import RowQueue
from tasks.workers.idle import RowTimeoutError
from tasks.workers.pool import RowFailedError, WorkerDiedError


def row(name: str, recipe: str = "style") -> Any:
    source = SimpleNamespace(base_sha256="0")
    return SimpleNamespace(domain=name, method="adapt", row=SimpleNamespace(recipe=recipe), source=source)


def nan(name: str, step: int = 3) -> NadaError:
    return RowFailedError(f"{name}: step {step}: the loss is nan")


def test_so_many_in_a_row_with_one_message_hold_their_kind_back() -> None:
    alike = Alike(3)
    assert [alike.failed(row(name), nan(name, step)) for step, name in enumerate("ab")] == [set(), set()]
    assert alike.failed(row("c"), nan("c", 7)) == {kind_of(row("x"))}


def test_rows_of_another_recipe_go_on_until_one_fails_so_too() -> None:
    alike = Alike(2)
    alike.failed(row("a", "broken"), nan("a"))
    assert alike.failed(row("b", "broken"), nan("b")) == {kind_of(row("x", "broken"))}
    assert alike.failed(row("c", "style"), nan("c")) == {kind_of(row("x", "style"))}


def test_a_success_or_another_message_between_them_begins_anew() -> None:
    alike = Alike(2)
    alike.failed(row("a"), nan("a"))
    alike.succeeded()
    assert alike.failed(row("b"), nan("b")) == set()
    assert alike.failed(row("c"), RowFailedError("c: the disk is full")) == set()
    assert alike.failed(row("d"), nan("d")) == set()


@pytest.mark.parametrize("error", [WorkerDiedError("gone"), RowTimeoutError("too long")])
def test_workers_that_die_say_nothing_of_other_rows(error: NadaError) -> None:
    alike = Alike(1)
    assert alike.failed(row("a"), error) == set()


def test_nothing_is_held_back_where_that_is_switched_off() -> None:
    assert Alike(0).failed(row("a"), nan("a")) == set()


def test_what_is_held_back_leaves_the_queue_with_what_waits_for_it() -> None:
    waiting = RowQueue({"a": 1.0, "b": 1.0, "c": 1.0}, after={"c": "a"})
    assert waiting.remove(["a"]) == ["a", "c"]
    assert waiting.domains == ("b",)
