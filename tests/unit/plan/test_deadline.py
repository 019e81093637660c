"""What `night.deadline` may hold, and which moment it means."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tasks.plan.deadline import deadline_after, parse_deadline


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clocks change in the night to 29 March 2026."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "length"),
    [("8h", timedelta(hours=8)), ("90m", timedelta(minutes=90)), ("7h30m", timedelta(hours=7, minutes=30))],
)
def test_a_length_of_time_counts_from_the_start(text: str, length: timedelta) -> None:
    start = datetime(2026, 1, 1, 22, 0).astimezone()
    assert deadline_after(start, text) == start + length


@pytest.mark.parametrize("text", ["", "8", "8 h", "0h", "24:00", "7:5", "07:60", "morning", "-1h", "1h90", "8h\n"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time of day"):
        parse_deadline(text)


@pytest.mark.parametrize(("started", "day"), [("06:00", 1), ("07:30", 2), ("22:00", 2)])
def test_a_time_of_day_is_the_next_one(started: str, day: int) -> None:
    start = datetime.fromisoformat(f"2026-01-01T{started}").astimezone()
    assert deadline_after(start, "07:30") == datetime(2026, 1, day, 7, 30).astimezone()


def test_a_night_in_which_the_clocks_change_ends_by_the_clock(berlin: None) -> None:
    start = datetime.fromisoformat("2026-03-28T21:00:00+00:00")
    assert deadline_after(start, "07:30").isoformat() == "2026-03-29T07:30:00+02:00"
