"""When a night takes no new rows: a time of day, or a length of time after its start."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_LENGTH = re.compile(r"(?:(\d{1,3})h)?(?:(\d{1,4})m)?")


def parse_deadline(text: str) -> time | timedelta:
    """Read `07:30`, or a length such as `8h`, `90m`, `7h30m`.

    Raises:
        ValueError: it is neither, or no time at all.

    >>> parse_deadline("07:30"), parse_deadline("7h30m")
    (datetime.time(7, 30), datetime.timedelta(seconds=27000))
    """
    if match := _TIME_OF_DAY.fullmatch(text):
        return time(int(match[1]), int(match[2]))
    match = _LENGTH.fullmatch(text)
    length = timedelta(hours=int(match[1] or 0), minutes=int(match[2] or 0)) if match else timedelta()
    if not length:
        raise ValueError(f"expected a time of day ('07:30') or a length of time ('8h', '7h30m'), got {text!r}")
    return length


def deadline_after(start: datetime, text: str) -> datetime:
    """The moment that a deadline means for a night.

    Args:
        start: when the night began, with a time zone; a time of day is the next one in this machine's local time.
        text: as `parse_deadline` reads it.
    """
    deadline = parse_deadline(text)
    if isinstance(deadline, timedelta):
        return start + deadline
    local = start.astimezone().replace(tzinfo=None)
    naive = datetime.combine(local.date(), deadline)
    if naive <= local:
        naive += timedelta(days=1)
    return naive.astimezone()
