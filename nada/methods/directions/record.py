"""What a global direction adds to its row's record."""

from __future__ import annotations

from nada.methods.base import RecordPart


class DirectionsRecord(RecordPart):
    """Which channels move."""

    num_moved: int
    num_channels: int
    """Of those that could."""
    largest: float
    """The relevance to the text of the most relevant channel, in [0, 1]."""
    by_layer: dict[str, int]
    """Moved channels of each layer that has some."""
    alpha: float
    strengths: tuple[float, ...]
    """Of the strip's columns, times alpha."""
