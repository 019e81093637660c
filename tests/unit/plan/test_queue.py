"""The order of rows and the forecast of a night, played with made-up durations."""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.plan.queue import Forecast, RowQueue, forecast

ON = {"follower": "base", "last": "follower"}
"""What starts from what."""
SHORT_THEN_LONG = {**{f"short-{index}": 10.0 for index in range(6)}, "long": 60.0}


def in_the_order_of_the_csv(seconds: dict[str, float], workers: int) -> float:
    """When the last row ends if each free worker takes the next line."""
    free_at = [0.0] * workers
    for length in seconds.values():
        free_at[free_at.index(min(free_at))] += length
    return max(free_at)


def test_the_longest_row_goes_first_and_rows_of_equal_length_keep_their_order() -> None:
    waiting = RowQueue({"b": 1.0, "a": 1.0, "long": 5.0})
    assert [waiting.take(0.0) for _ in range(4)] == ["long", "b", "a", None]


def test_a_long_last_row_does_not_keep_the_night_waiting() -> None:
    assert in_the_order_of_the_csv(SHORT_THEN_LONG, workers=2) == 90.0
    assert forecast(RowQueue(SHORT_THEN_LONG), [0.0, 0.0]) == Forecast(seconds=60.0)


def makespan(lengths: list[int], taken: tuple[int, ...], workers: int) -> int:
    """When the last worker ends, if row i goes to worker taken[i]."""
    return max(sum(length for length, by in zip(lengths, taken, strict=True) if by == one) for one in range(workers))


@given(st.lists(st.integers(1, 100), min_size=1, max_size=7), st.integers(1, 3))
def test_no_night_is_a_third_longer_than_the_best(lengths: list[int], workers: int) -> None:
    """Graham 1969: longest first ends within 4/3 - 1/(3 x workers) of the best schedule."""
    night = forecast(RowQueue({str(index): float(length) for index, length in enumerate(lengths)}), [0.0] * workers)
    best = min(makespan(lengths, taken, workers) for taken in product(range(workers), repeat=len(lengths)))
    assert best <= night.seconds <= best * (4 / 3 - 1 / (3 * workers)) + 1e-9


def test_a_row_that_would_end_too_late_is_not_handed_out_and_a_shorter_one_is() -> None:
    waiting = RowQueue({"long": 60.0, "short": 10.0}, deadline=100.0)
    assert waiting.take(50.0) == "short"
    assert waiting.take(60.0) is None
    assert waiting.domains == ("long",)


def test_the_forecast_names_what_the_deadline_leaves() -> None:
    night = forecast(RowQueue({"a": 50.0, "b": 40.0, "c": 30.0}, deadline=85.0), [0.0])
    assert night == Forecast(seconds=80.0, left=("b",))


def test_what_an_earlier_night_left_goes_before_longer_rows() -> None:
    waiting = RowQueue({"long": 60.0, "left": 5.0, "left-too": 6.0}, first=["left", "left-too"])
    assert waiting.domains == ("left-too", "left", "long")


def test_rows_that_take_twice_as_long_as_expected_make_the_rest_twice_as_long() -> None:
    waiting = RowQueue({"a": 10.0, "b": 10.0, "c": 10.0}, deadline=45.0)
    assert waiting.take(0.0) == "a"
    waiting.lasted("a", 20.0)
    assert waiting.pace == 2.0
    assert waiting.take(20.0) == "b"
    assert waiting.take(40.0) is None


def test_a_follower_waits_until_what_it_starts_from_is_there() -> None:
    waiting = RowQueue({"base": 10.0, "long": 90.0, "follower": 60.0, "last": 1.0}, after=ON)
    assert waiting.domains == ("long", "follower", "base", "last")
    assert tuple(waiting.ready()) == ("long", "base")
    assert [waiting.take(0.0) for _ in range(3)] == ["long", "base", None]
    waiting.release("long")
    assert waiting.take(0.0) is None
    waiting.release("base")
    assert tuple(waiting.ready()) == ("follower",)
    assert [waiting.take(0.0), waiting.take(0.0)] == ["follower", None]
    waiting.release("follower")
    assert waiting.take(0.0) == "last"
    assert len(waiting) == 0


def test_a_row_that_is_lost_takes_its_followers_along_and_theirs() -> None:
    ons = {"follower": "base", "twin": "base", "last": "follower", "other": "elsewhere"}
    waiting = RowQueue(dict.fromkeys(["base", *ons, "elsewhere"], 1.0), after=ons)
    assert waiting.take(0.0) == "base"
    assert waiting.drop_followers("base") == ["follower", "last", "twin"]
    assert waiting.domains == ("other", "elsewhere")
    assert waiting.drop_followers("base") == []


def test_a_follower_that_was_taken_is_not_dropped() -> None:
    waiting = RowQueue({"base": 1.0, "follower": 1.0}, after=ON)
    waiting.take(0.0)
    waiting.release("base")
    assert waiting.take(0.0) == "follower"
    assert waiting.drop_followers("base") == []


def test_rows_that_ride_along_are_taken_with_the_one_that_was() -> None:
    waiting = RowQueue({"a": 3.0, "b": 2.0, "c": 1.0})
    assert waiting.take(0.0) == "a"
    waiting.take_these(["c"])
    assert waiting.domains == ("b",)


def test_the_forecast_lets_followers_wait() -> None:
    alone = {"base": 10.0, "follower": 20.0, "last": 30.0}
    assert forecast(RowQueue(alone), [0.0] * 3) == Forecast(seconds=30.0)
    assert forecast(RowQueue(alone, after=ON), [0.0] * 3) == Forecast(seconds=60.0)
    beside = {**alone, "long": 45.0}
    assert forecast(RowQueue(beside, after=ON), [0.0, 5.0]) == Forecast(
        seconds=65.0
    )  # base waits for the second worker


def test_the_forecast_leaves_the_followers_of_what_the_deadline_leaves() -> None:
    seconds = {"base": 50.0, "follower": 1.0, "short": 5.0}
    night = forecast(RowQueue(seconds, after=ON, deadline=20.0), [0.0])
    assert night == Forecast(seconds=5.0, left=("base", "follower"))
    night = forecast(RowQueue(seconds, after=ON, deadline=52.0), [0.0])
    assert night == Forecast(seconds=51.0, left=("short",))


def test_the_forecast_leaves_the_queue_as_it_is() -> None:
    waiting = RowQueue({"base": 10.0, "follower": 20.0}, after=ON)
    forecast(waiting, [0.0])
    assert waiting.domains == ("follower", "base")
    assert tuple(waiting.ready()) == ("base",)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 7)), min_size=1, max_size=8),
    st.integers(1, 3),
    st.one_of(st.just(math.inf), st.integers(1, 200)),
)
def test_no_follower_begins_before_its_base_has_ended(
    rows: list[tuple[int, int]], workers: int, deadline: float
) -> None:
    """Any night, played as the forecast plays it: each row may start from an earlier one."""
    seconds = {str(index): float(length) for index, (length, _) in enumerate(rows)}
    after = {str(index): str(on) for index, (_, on) in enumerate(rows) if on < index}
    waiting = RowQueue(seconds, after=after, deadline=deadline)
    expected = forecast(waiting, [0.0] * workers)
    ended: dict[str, float] = {}
    running: list[tuple[float, str]] = []
    now = 0.0
    while True:
        while len(running) < workers and (domain := waiting.take(now)) is not None:
            assert domain not in after or ended[after[domain]] <= now
            running.append((now + seconds[domain], domain))
        if not running:
            break
        now, domain = min(running)
        running.remove((now, domain))
        ended[domain] = now
        waiting.release(domain)
    assert (max(ended.values(), default=0.0), waiting.domains) == (expected.seconds, expected.left)
    assert all(end <= deadline for end in ended.values())


def test_a_higher_priority_goes_first_and_a_deadline_leaves_the_lowest() -> None:
    waiting = RowQueue({"long": 9.0, "low": 5.0, "high": 1.0}, priority={"high": 2, "low": -1}, deadline=10.0)
    assert [waiting.take(0.0), waiting.take(1.0), waiting.take(10.0)] == ["high", "long", None]
    assert waiting.domains == ("low",)


def test_what_a_row_starts_from_has_the_priority_of_that_row() -> None:
    waiting = RowQueue({"a": 9.0, "base": 1.0, "follower": 1.0}, after={"follower": "base"}, priority={"follower": 3})
    assert waiting.take(0.0) == "base"


def test_rows_that_join_and_rows_that_made_way_take_their_places() -> None:
    waiting = RowQueue({"a": 3.0, "b": 1.0})
    waiting.add({"c": 2.0, "d": 9.0}, after={"d": "c"}, priority={"b": 1})
    assert waiting.domains == ("b", "d", "a", "c")
    assert (waiting.take(0.0), waiting.take(0.0)) == ("b", "a")
    waiting.put_back("a")
    assert tuple(waiting.ready()) == ("a", "c")


def test_the_forecast_looks_at_every_row_once_however_many_are_too_long_or_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    in_time = RowQueue.in_time

    def noted(self: RowQueue, domains: Collection[str], now: float) -> bool:
        asked.extend(domains)
        return in_time(self, domains, now)

    monkeypatch.setattr(RowQueue, "in_time", noted)
    seconds = {f"row-{index}": 1.0 + index % 50 for index in range(1000)}
    after = {f"row-{index}": f"row-{index - 500}" for index in range(500, 1000)}
    night = forecast(RowQueue(seconds, after=after, deadline=100.0), [0.0, 0.0])
    assert len(night.left) > 900
    assert len(asked) == len(set(asked))
