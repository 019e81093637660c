"""What a night has to tell MLflow, in order, kept until the store takes it: nothing else waits for a database.

A thread of its own writes, so that a store that is slow, or gone, costs no row a second. Only the end of the night
waits for it, and not for long.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from nada.errors import OutputError
from tasks.tracking.mlflow_store import NightRun

REST_SECONDS = 300.0  # after a refusal; every attempt may block for seconds
LAST_SECONDS = 60.0  # at the end of the night, for everything that still waits
LEAVING_SECONDS = 5.0  # where the night is broken off
PAUSE_SECONDS = 1.0  # between two looks at what is new of running rows

Entry = Callable[[NightRun], object]


def nothing(_: NightRun) -> None:
    """Of rows that run."""


class Outbox:
    """Entries that wait for the store, and the night's parent run once there is one.

    Args:
        open_night: opens the night's run.
        tell: writes what is new of running rows, after the entries; may be called as often as one likes.
    """

    def __init__(self, open_night: Callable[[], NightRun], tell: Entry = nothing) -> None:
        self._open_night, self._tell = open_night, tell
        self._night: NightRun | None = None
        self._entries: deque[Entry] = deque()
        self._rested = 0.0
        self._woken, self._stopped = threading.Event(), threading.Event()
        self._writer: threading.Thread | None = None

    def open(self) -> tuple[str, ...]:
        """Open the night's run, so that a store that refuses does so before anything is made; what happened to it.

        Raises:
            NadaError: it refuses.
        """
        self._rested = time.monotonic() + REST_SECONDS
        self._night = self._open_night()
        self._rested = 0.0
        return self._night.notes

    def start(self, refused: Callable[[Exception], None]) -> None:
        """Write whatever comes, in a thread of its own.

        Args:
            refused: told of each refusal; what was not written waits, and is tried again.
        """
        self._writer = threading.Thread(target=self._keep_writing, args=(refused,), daemon=True)
        self._writer.start()

    def add(self, entry: Entry) -> None:
        """Remember one more entry, which is written soon. It may be tried again, so it must bear that."""
        self._entries.append(entry)
        self._woken.set()

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
            Exception: the last refusal, or there was no time; what was not written is lost to this night.
        """
        if not self._stop(LAST_SECONDS):
            raise OutputError(f"MLflow: no answer within {LAST_SECONDS:g} s")
        self._try(attempts=len(self._entries) + 1, seconds=LAST_SECONDS)
        if self._entries:
            raise OutputError(f"MLflow: {len(self._entries)} entries were not written within {LAST_SECONDS:g} s")

    def leave(self, closing: Entry) -> None:
        """Let one last entry close what is open, where the night is broken off; nobody waits long for it."""

        def close() -> None:
            if self._night is not None:
                with suppress(Exception):  # the next night closes it
                    closing(self._night)

        if self._stop(LEAVING_SECONDS):
            closer = threading.Thread(target=close, daemon=True)
            closer.start()
            closer.join(LEAVING_SECONDS)

    def _keep_writing(self, refused: Callable[[Exception], None]) -> None:
        while not self._stopped.is_set():
            self._woken.wait(PAUSE_SECONDS)
            self._woken.clear()
            if self._stopped.is_set():
                return
            try:
                self.write()
            except Exception as err:
                refused(err)

    def _stop(self, seconds: float) -> bool:
        """End the thread, and wait so long for what it is at; whether it has ended."""
        self._stopped.set()
        self._woken.set()
        if self._writer is not None:
            self._writer.join(seconds)
            return not self._writer.is_alive()
        return True

    def _try(self, attempts: int, seconds: float = float("inf")) -> None:
        """Write until so many refusals; a refused entry goes to the end, so that it alone waits for ever."""
        deadline = time.monotonic() + seconds
        refusals: list[Exception] = []
        is_last = self._stopped.is_set()
        while self._entries and len(refusals) < attempts and time.monotonic() < deadline:
            if self._stopped.is_set() and not is_last:
                return  # the rest is written at the end, which waits for this
            try:
                self._entry(self._entries[0])
                self._entries.popleft()
            except Exception as err:  # of whatever kind: it costs this entry alone
                refusals.append(err)
                self._entries.rotate(-1)
        try:
            if not (refusals or is_last):
                self._entry(self._tell)
        except Exception as err:
            refusals.append(err)
        if refusals:
            self._rested = time.monotonic() + REST_SECONDS
            raise refusals[-1]

    def _entry(self, entry: Entry) -> None:
        self._night = self._night or self._open_night()
        entry(self._night)
