"""The section `shift` of params.yaml."""

from __future__ import annotations

from pydantic import Field

from nada.config import Section


class ShiftConfig(Section):
    """How long, how fast, on how many pictures."""

    iterations: int = Field(4, ge=1, le=1000)
    batch_size: int = Field(2, ge=1, le=64)
    learning_rate: float = Field(0.05, gt=0)
