"""What a mapper adds to its row's record."""

from __future__ import annotations

from nada.methods.base import RecordPart


class Kept(RecordPart):
    """What the judge decided, and by which figures."""

    gain: float
    """How far pictures moved along the text direction, mean; 0 where nothing was kept."""
    gain_error: float
    """Its standard error."""
    diversity: float
    """Structural diversity after, of that before."""
    num_images: int
    probes: int
    seconds: float
    """That looking took."""


class MapperRecord(RecordPart):
    """How the training went."""

    first_loss: float
    last_loss: float
    is_kept: bool
    """False: nothing was gained, and the row draws what it started from."""
    kept: Kept | None = None
    """None: the last mapper was to be kept, and nobody looked."""
