"""What a row is to come to, in words. Imports no torch: a night is planned without it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PromptPair:
    """What the source generator shows, and what the adapted one shall show."""

    source: str
    target: str
