"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found, and what to do about it."""

    part: str
    """Of the machine or the project, in a word or two."""
    state: State
    """`note`: a night runs without it, perhaps not as somebody wishes; `missing`: none can run."""
    says: str
    remedy: str = ""
    """The command that brings it, or what to write where."""


def ok(part: str, says: str) -> Finding:
    """All is well."""
    return Finding(part=part, state="ok", says=says)


def note(part: str, says: str, remedy: str = "") -> Finding:
    """A night runs all the same."""
    return Finding(part=part, state="note", says=says, remedy=remedy)


def missing(part: str, says: str, remedy: str = "") -> Finding:
    """No night can run."""
    return Finding(part=part, state="missing", says=says, remedy=remedy)
