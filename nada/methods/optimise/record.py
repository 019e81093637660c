"""What a latent optimisation adds to its row's record."""

from __future__ import annotations

from nada.methods.base import RecordPart


class OptimiseRecord(RecordPart):
    """How far it went."""

    latent: str
    """Whose: `seed 3`, or the file's name."""
    first_loss: float
    last_loss: float
    similarity_before: float
    """Cosine of the picture to the target text, the mean of the guides by their shares."""
    similarity_after: float
    distance: float
    """Root of the summed squares by which the latent moved."""
