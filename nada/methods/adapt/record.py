"""What an adaptation adds to its row's record."""

from __future__ import annotations

from nada.methods.base import RecordPart


class Rounding(RecordPart):
    """How far pictures moved when weights were rounded, in 8-bit levels."""

    largest_levels: int
    mean_levels: float
    num_images: int


class EarlyStoppingRecord(RecordPart):
    """How the checkpoint was chosen."""

    why: str
    probes: int
    seconds: float


class AdaptRecord(RecordPart):
    """How the training went."""

    first_loss: float
    last_loss: float
    rounding: Rounding | None = None
    early_stopping: EarlyStoppingRecord | None = None
