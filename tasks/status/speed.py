"""How fast rows train."""

from __future__ import annotations

import time

from tasks.workers.news import Progress


class Rates:
    """How fast each row trains. Not for several threads at once."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[float, int]] = {}

    def rate(self, progress: Progress) -> float | None:
        """Steps per second since the row's first step; None before the second, and outside of training."""
        now = time.monotonic()
        if progress.phase != "make":
            self._since.pop(progress.domain, None)  # a row that is tried again starts anew
            return None
        since, first = self._since.setdefault(progress.domain, (now, progress.step))
        return (progress.step - first) / (now - since) if now > since and progress.step > first else None
