"""What a row sends of itself while it is made: small, seldom enough to cost nothing, and never at the row's expense."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from nada.methods.base import Glimpse
from tasks.row import glimpses
from tasks.row.glimpses import NOTHING, Glimpses, encoded
from tasks.row.job import RowJob
from tasks.workers.news import Progress
from tests.jobs import job, make_well

__all__ = ["job"]


class Pass:
    """Shows what it is told to, after so many seconds."""

    def __init__(self, clock: list[float]) -> None:
        self.clock, self.step, self.seconds = clock, 1, 0.0
        self.asked = 0

    def glimpse(self, row: str) -> Glimpse:
        self.asked += 1
        self.clock[0] += self.seconds
        return Glimpse(self.step, torch.zeros(4, 3, 16, 16, dtype=torch.uint8))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(glimpses, "time", SimpleNamespace(monotonic=lambda: now[0]))  # not that of other threads
    return now


def test_pictures_take_less_than_a_hundredth_of_the_time(clock: list[float]) -> None:
    making: Any = Pass(clock)
    making.seconds, taken = 2.0, Glimpses()
    for _ in range(1000):
        taken.take(making, "sketch")
        clock[0] += 1.0
        making.step += 1
    assert making.asked == 3  # of two seconds each, in a thousand


def test_what_was_shown_is_not_shown_again_but_at_the_end(clock: list[float]) -> None:
    making: Any = Pass(clock)
    taken = Glimpses()
    assert taken.take(making, "sketch").step == 1
    clock[0] += 10
    assert taken.take(making, "sketch") is NOTHING
    assert taken.take(making, "sketch", is_last=True).jpeg is not None


def test_a_picture_that_cannot_be_drawn_costs_no_row(clock: list[float]) -> None:
    class Broken:
        def glimpse(self, row: str) -> Glimpse:
            raise MemoryError

    broken: Any = Broken()
    taken = Glimpses()
    assert taken.take(broken, "sketch") is NOTHING
    assert taken.take(broken, "sketch", is_last=True) is NOTHING


@pytest.mark.parametrize(("side", "shown"), [(16, 16), (128, 128), (256, 128), (1024, 128)])
def test_large_pictures_are_sent_small(side: int, shown: int) -> None:
    picture = Image.open(io.BytesIO(encoded(torch.zeros(4, 3, side, side, dtype=torch.uint8))))
    assert picture.size == (4 * shown, shown)


def test_a_row_that_is_made_shows_itself_on_the_way_and_as_it_is_kept(
    job: RowJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glimpses, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(glimpses, "SHARE", 1e9)
    heard: list[Progress] = []
    hear: Callable[[Any], None] = lambda news: heard.append(news) if isinstance(news, Progress) else None  # noqa: E731
    make_well(job, hears=hear)
    pictured = [(news.phase, news.pictured_step) for news in heard if news.picture]
    assert pictured == [("make", 1), ("make", 2), ("make", 3), ("make", 4), ("save", 5)]
