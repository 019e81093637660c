"""Which row a free worker takes next, and when the night would end. Pure: whoever asks says what time it is."""

from __future__ import annotations

import copy
import heapq
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


class RowQueue:
    """The rows that nobody has taken yet, longest first, so that the last hour is not one straggler.

    Times are seconds since the night began.
    """

    def __init__(self, seconds: Mapping[str, float], first: Collection[str] = (), deadline: float = math.inf) -> None:
        """Order the rows.

        Args:
            seconds: domain -> expected seconds; rows of equal length keep this order.
            first: domains that go before all others, such as those that an earlier night had no time for.
            deadline: a row that would end later is not handed out.
        """
        self.deadline = deadline
        self._expected = dict(seconds)
        self._rows = sorted(seconds, key=lambda domain: (domain not in first, -seconds[domain]))
        self._lasted = self._foreseen = 0.0

    def __len__(self) -> int:
        return len(self._rows)

    def copy(self) -> RowQueue:
        """One that can be played through while this one waits."""
        other = copy.copy(self)
        other._rows = list(self._rows)
        return other

    @property
    def domains(self) -> tuple[str, ...]:
        """What waits, in the order in which it would be taken."""
        return tuple(self._rows)

    @property
    def pace(self) -> float:
        """How long the rows of this night took, as a multiple of what was expected; 1 before any ended."""
        return self._lasted / self._foreseen if self._foreseen else 1.0

    def seconds(self, domain: str) -> float:
        """What a row is expected to take, by the pace of this night."""
        return self._expected[domain] * self.pace

    def take(self, now: float) -> str | None:
        """Hand out the first row that would end by the deadline; None when none would, or none waits."""
        for position, domain in enumerate(self._rows):
            if now + self.seconds(domain) <= self.deadline:
                del self._rows[position]
                return domain
        return None

    def lasted(self, domain: str, seconds: float) -> None:
        """Learn from a row that ended how good the expectations are."""
        self._lasted += seconds
        self._foreseen += self._expected[domain]


@dataclass(frozen=True)
class Forecast:
    """A night as it would go."""

    seconds: float
    """When the last row ends."""
    left: tuple[str, ...] = ()
    """Rows that would not end by the deadline."""


def forecast(waiting: RowQueue, free_at: Sequence[float]) -> Forecast:
    """Play the night through on a copy.

    Args:
        waiting: the rows that nobody has taken yet.
        free_at: for each worker, when it is free; one or more.

    >>> forecast(RowQueue({"a": 1, "b": 1, "c": 2}), [0.0, 0.0]).seconds
    2.0
    """
    waiting, workers = waiting.copy(), list(free_at)
    heapq.heapify(workers)
    while (domain := waiting.take(workers[0])) is not None:
        heapq.heapreplace(workers, workers[0] + waiting.seconds(domain))
    return Forecast(seconds=max(workers), left=waiting.domains)
