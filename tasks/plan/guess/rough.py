"""What a picture costs in training and in judging, roughly, before anything was measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nada.config import NONE
from tasks.config.model import Params
from tasks.plan.guess.networks import drawing_seconds, embedding_seconds

# A step draws a picture twice and embeds it twice, once of each with gradients, which cost half as much again.
DRAWN, EMBEDDED = 3.7, 3.5
EFFICIENTNET_SECONDS, INCEPTION_SECONDS = 0.04, 0.2  # a picture, as nada/config.py says
GPU_SPEED = 40.0  # a GPU's beside one core's: of GPUs as they are rented, from a quarter to four times that
SPREADS = {"cpu": 1.6, "cuda": 4.0}
"""By device: the truth is as many times less or more."""


@dataclass(frozen=True, kw_only=True)
class Rough:
    """Seconds of one worker."""

    trained: float
    """A picture in training."""
    prepared: float
    """A picture that is drawn and embedded by the guide, without gradients."""
    judged: float
    """A picture that is drawn and judged."""
    num_judged: int
    """Pictures behind a row's scores."""
    spread: float = SPREADS["cpu"]

    @property
    def judging(self) -> float:
        """Of a row."""
        return self.num_judged * self.judged


def rough_costs(params: Params, generator: Path, device: str) -> Rough:
    """Of rows that start from a generator.

    Args:
        params: whose guides and judge look at the pictures.
        generator: in the canonical format.
        device: its kind, `cpu` or `cuda`.
    """
    speed = 1.0 if device == "cpu" else GPU_SPEED
    drawn = drawing_seconds(generator)
    embedded = sum(embedding_seconds(clip, params.guide.config_dir) for clip in params.guide.models)
    looked = embedding_seconds(params.judge.model, params.guide.config_dir)
    looked += EFFICIENTNET_SECONDS * (params.judge.efficientnet != NONE)
    looked += INCEPTION_SECONDS * (params.judge.inception != NONE)
    return Rough(
        trained=(DRAWN * drawn + EMBEDDED * embedded) / speed,
        prepared=(drawn + embedded) / speed,
        judged=(drawn + looked) / speed,
        num_judged=params.judge.num_images,
        spread=SPREADS.get(device, SPREADS["cuda"]),
    )
