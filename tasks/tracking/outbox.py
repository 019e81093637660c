"""What a night has to tell MLflow, in order, kept until the store takes it: training waits for no database."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from tasks.tracking.mlflow_store import NightRun

REST_SECONDS = 300.0  # after a refusal; every attempt may block for seconds
LAST_SECONDS = 60.0  # at the end of the night, for everything that still waits

Entry = Callable[[NightRun], object]


class Outbox:
    """Entries that wait for the store, and the night's parent run once there is one."""

    def __init__(self, open_night: Callable[[], NightRun]) -> None:
        self._open_night = open_night
        self._night: NightRun | None = None
        self._entries: deque[Entry] = deque()
        self._rested = 0.0

    def open(self) -> tuple[str, ...]:
        """Open the night's run, so that a store that refuses does so before anything is made; what happened to it.

        Raises:
            NadaError: it refuses.
        """
        self._rested = time.monotonic() + REST_SECONDS
        self._night = self._open_night()
        self._rested = 0.0
        return self._night.notes

    def add(self, entry: Entry) -> None:
        """Remember one more entry; nothing is written yet. An entry may be tried again, so it must bear that."""
        self._entries.append(entry)

    def write(self) -> None:
        """Write what waits, unless the store refused a short while ago.

        Raises:
            Exception: the store refuses, or an entry cannot be written at all; what was not written waits.
        """
        if time.monotonic() >= self._rested:
            self._try(attempts=1)

    def write_last(self) -> None:
        """Write everything that can be written, at the end of the night.

        Raises:
            Exception: the last refusal; what was not written is lost to this night.
        """
        self._try(attempts=len(self._entries) + 1, seconds=LAST_SECONDS)

    def _try(self, attempts: int, seconds: float = float("inf")) -> None:
        """Write until so many refusals; a refused entry goes to the end, so that it alone waits for ever."""
        deadline = time.monotonic() + seconds
        refusals: list[Exception] = []
        while self._entries and len(refusals) < attempts and time.monotonic() < deadline:
            try:
                self._night = self._night or self._open_night()
                self._entries[0](self._night)
                self._entries.popleft()
            except Exception as err:  # of whatever kind: it costs this entry alone
                refusals.append(err)
                self._entries.rotate(-1)
        if refusals:
            self._rested = time.monotonic() + REST_SECONDS
            raise refusals[-1]
