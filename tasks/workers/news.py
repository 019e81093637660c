"""What a worker tells of the rows that it has in hand. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a row is; sent by its worker a few times a second."""

    domain: str
    step: int
    total: int
    loss: float | None
    """Of the latest step; None outside of training."""
    phase: str
    """`load`, `prepare`, `make`, `save` or `judge`."""
    note: str = ""
    """News that is worth a line of its own."""
    picture: bytes | None = field(default=None, repr=False)
    """A JPEG of what the row shows by now; see `nada.methods.base.Glimpse`."""
    pictured_step: int = 0
    """Steps behind it."""


def is_of_all(news: Any) -> bool:
    """Whether it tells of what rows share being prepared: that time is no row's, so a row's limit begins after it."""
    return isinstance(news, Progress) and news.phase == "prepare"


@dataclass(frozen=True, kw_only=True)
class RowEnded:
    """A row of a group came to its end, good or bad; the worker may go on with the others."""

    domain: str
    result: Any = None
    """Its record."""
    error: tuple[str, str, str] | None = None
    """Type, message and traceback of what it raised."""
