"""What a shift adds to its row's record."""

from __future__ import annotations

from nada.methods.base import RecordPart


class ShiftRecord(RecordPart):
    """How far it went."""

    first_loss: float
    last_loss: float
    length: float
    """Of the offset."""
