"""Which row a free worker takes next, and when the night would end. Pure: whoever asks says what time it is."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass


class RowQueue:
    """The rows that nobody has taken yet, longest first, so that the last hour is not one straggler.

    Times are seconds since the night began.
    """

    def __init__(
        self,
        seconds: Mapping[str, float],
        first: Collection[str] = (),
        deadline: float = math.inf,
        after: Mapping[str, str] | None = None,
        priority: Mapping[str, int] | None = None,
    ) -> None:
        """Order the rows.

        Args:
            seconds: domain -> expected seconds; rows of equal length keep this order.
            first: domains that go before all others, such as those that an earlier night had no time for.
            deadline: a row that would end later is not handed out.
            after: domain -> the domain from whose result it starts: it waits until that one is `released`.
            priority: domain -> its own, 0 where none is given: higher ones go before all others. A row that others
                start from has the highest of theirs.
        """
        self.deadline = deadline
        self._expected = dict(seconds)
        self._after: dict[str, str] = {}
        self._followers: dict[str, list[str]] = {}
        self._follow(after or {})
        self._first, self._priority = frozenset(first), _with_sources(dict(priority or {}), self._after)
        self._rows = sorted(seconds, key=self._place)
        self._lasted = self._foreseen = 0.0

    def _place(self, domain: str) -> tuple[int, bool, float]:
        return -self._priority.get(domain, 0), domain not in self._first, -self._expected[domain]

    def __len__(self) -> int:
        return len(self._rows)

    def _follow(self, after: Mapping[str, str]) -> None:
        self._after |= after
        for follower, on in after.items():
            self._followers.setdefault(on, []).append(follower)

    def add(self, seconds: Mapping[str, float], after: Mapping[str, str], priority: Mapping[str, int]) -> None:
        """Rows that joined the night; arguments as those of the others."""
        self._expected |= seconds
        self._follow(after)
        self._priority = _with_sources({**self._priority, **priority}, self._after)
        self._rows = sorted([*self._rows, *seconds], key=self._place)

    def put_back(self, domain: str) -> None:
        """A row that was taken made way before its end."""
        self._rows = sorted([domain, *self._rows], key=self._place)

    def remove(self, domains: Collection[str]) -> list[str]:
        """Rows that are not to be handed out, and those that wait for them; returns them all."""
        removed = [domain for domain in self._rows if domain in domains]
        self._rows = [domain for domain in self._rows if domain not in domains]
        return [lost for domain in removed for lost in (domain, *self.drop_followers(domain))]

    def would_take(self, now: float) -> bool:
        """Whether a row could be handed out now."""
        return any(self.in_time([domain], now) for domain in self.ready())

    @property
    def domains(self) -> tuple[str, ...]:
        """What waits, in the order in which it would be taken."""
        return tuple(self._rows)

    def ready(self) -> Iterator[str]:
        """What waits for no other row, in that order; found as far as it is asked for."""
        return (domain for domain in self._rows if domain not in self._after)

    @property
    def pace(self) -> float:
        """How long the rows of this night took, as a multiple of what was expected; 1 before any ended."""
        return self._lasted / self._foreseen if self._foreseen else 1.0

    def seconds(self, domain: str) -> float:
        """What a row is expected to take, by the pace of this night."""
        return self._expected[domain] * self.pace

    def take(self, now: float) -> str | None:
        """Hand out the first row that can start and would end by the deadline; None when there is none now."""
        for position, domain in enumerate(self._rows):
            if domain not in self._after and self.in_time([domain], now):
                del self._rows[position]
                return domain
        return None

    def in_time(self, domains: Collection[str], now: float) -> bool:
        """Whether a worker that takes these rows now would end them by the deadline."""
        return now + sum(map(self.seconds, domains)) <= self.deadline

    def take_these(self, domains: Collection[str]) -> None:
        """Hand out rows that ride along with one that was taken."""
        for domain in domains:
            self._rows.remove(domain)  # near the front: cheaper than to look at all

    def followers(self, domain: str) -> Sequence[str]:
        """Rows that wait for the result of this one."""
        return self._followers.get(domain, ())

    def release(self, domain: str) -> None:
        """A row is there: those that start from its result may be taken."""
        for follower in self._followers.pop(domain, ()):
            del self._after[follower]

    def drop_followers(self, domain: str) -> list[str]:
        """A row is lost: so are those that wait for its result, and those that wait for theirs."""
        waiting, lost, found = set(self._rows), [], [*reversed(self.followers(domain))]
        while found:
            if (follower := found.pop()) in waiting:
                lost.append(follower)
                found += reversed(self.followers(follower))
        gone = set(lost)
        self._rows = [one for one in self._rows if one not in gone]
        return lost

    def lasted(self, domain: str, seconds: float) -> None:
        """Learn from a row that ended how good the expectations are."""
        self._lasted += seconds
        self._foreseen += self._expected[domain]


def _with_sources(priority: dict[str, int], after: Mapping[str, str]) -> dict[str, int]:
    """Priorities by which no row waits for one that is put off."""
    for follower in after:
        high = priority.get(follower, 0)
        on: str | None = after[follower]
        while on is not None:
            priority[on] = max(priority.get(on, 0), high)
            on = after.get(on)
    return priority


@dataclass(frozen=True)
class Forecast:
    """A night as it would go."""

    seconds: float
    """When the last row ends."""
    left: tuple[str, ...] = ()
    """Rows that would not end by the deadline."""


def forecast(waiting: RowQueue, free_at: Sequence[float]) -> Forecast:
    """Play the night through, in about the time that sorting its rows takes.

    Args:
        waiting: the rows that nobody has taken yet.
        free_at: for each worker, when it is free; one or more.

    >>> forecast(RowQueue({"a": 1, "b": 1, "c": 2}), [0.0, 0.0]).seconds
    2.0
    """
    rows = waiting.domains
    place = {domain: position for position, domain in enumerate(rows)}
    ready = [place[domain] for domain in waiting.ready()]  # in order, so a heap
    events: list[tuple[float, str]] = [(at, "") for at in free_at]  # when a worker is free, and of which row
    heapq.heapify(events)
    idle, now, taken = 0, 0.0, set()
    while events:
        now, ended = heapq.heappop(events)
        for follower in waiting.followers(ended):
            if follower in place:
                heapq.heappush(ready, place[follower])
        idle += 1
        while idle and ready:
            domain = rows[heapq.heappop(ready)]
            if waiting.in_time([domain], now):  # what comes too late now does so later
                heapq.heappush(events, (now + waiting.seconds(domain), domain))
                taken.add(domain)
                idle -= 1
    return Forecast(seconds=now, left=tuple(domain for domain in rows if domain not in taken))
