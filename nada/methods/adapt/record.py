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


class SharedSources(RecordPart):
    """How often the source's pictures were there already, rendered and embedded for an earlier row of the worker, or,
    of a bank of latents, for an earlier step.
    """

    asked: int
    """Batches, or parts of batches, that the row met; in the process that ended it."""
    known: int
    """Of these."""
    bytes: int
    """Of all embeddings that the worker keeps for this source."""


class AdaptRecord(RecordPart):
    """How the training went."""

    first_loss: float
    last_loss: float
    rounding: Rounding | None = None
    early_stopping: EarlyStoppingRecord | None = None
    shared_sources: SharedSources | None = None
    """None of rows that are older than this."""
