"""A pass of global directions: an offset in style space for each row, in milliseconds, and a strip of its strengths.

What takes long, what is known of every channel, is prepared before (`nada.methods.directions.preparing`): of the
pretrained generator, also for rows that start from another row. Their affines are its own, so the style space is the
same, and a channel of it keeps its meaning when the convolutions are adapted.
Legend: K channels, C channels of one layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from torch import Tensor

from nada.errors import NadaError
from nada.hashing import sha256_file
from nada.methods.base import Assignment, Made, Pass, RowError, Step
from nada.methods.directions.channels import Channels
from nada.methods.directions.config import DirectionsConfig
from nada.methods.directions.edit import relevance_to, style_offset
from nada.methods.directions.record import DirectionsRecord
from nada.methods.directions.strip import BATCH_SIZE, strength_strip
from nada.methods.edited_domain import EditedDomain
from nada.methods.models import Models
from nada.methods.moved_styles import OFFSET_NAME, load_offsets, offset_domain, save_offsets
from nada.methods.sheets import save_webp

STRIP_NAME = "strengths.webp"


class DirectionsPass(Pass):
    """Global directions of one source."""

    def __init__(self, assignments: Sequence[Assignment[DirectionsConfig]], models: Models) -> None:
        self._rows = {assignment.row: EditedRow(assignment, models) for assignment in assignments}

    def __iter__(self) -> Iterator[Step | RowError]:
        for name, row in self._rows.items():
            try:
                row.edit()
            except NadaError as err:
                yield RowError(row=name, error=err)
            else:
                yield Step(row=name, done=1, total=1, is_last=True)

    def state_dict(self, row: str) -> dict[str, Tensor]:
        """Nothing: a row is one step."""
        return {}

    def load_state_dict(self, row: str, tensors: dict[str, Tensor]) -> int:
        """Nothing is behind it."""
        return 0

    def domain(self, row: str) -> EditedDomain:
        """The source, its styles moved."""
        return self._rows[row].domain

    def save(self, row: str, folder: Path) -> Made:
        """The offsets and the strip."""
        return self._rows[row].save(folder)


class EditedRow:
    """One row of a pass."""

    def __init__(self, assignment: Assignment[DirectionsConfig], models: Models) -> None:
        self.assignment, self.config, self.models = assignment, assignment.config, models
        self.offsets: dict[str, Tensor] = {}
        """[C] by layer, of layers that move."""

    @cached_property
    def channels(self) -> list[Channels]:
        """One a model of the guide."""
        places = self.assignment.prepared
        return self.models.keep(places, lambda: [Channels.load(place.path) for place in places])

    @cached_property
    def relevance(self) -> Tensor:
        """Of every channel to the row's texts, [K]."""
        guide = self.models.guide
        return relevance_to(self.channels, self.assignment.goal.directions(guide), guide.weights)

    def edit(self) -> None:
        """The one step.

        Raises:
            ParamsError: no channel moves.
        """
        first, config = self.channels[0], self.config
        offsets = first.split(style_offset(self.relevance, first.std, config.alpha, config.beta))
        self.offsets = {name: offset.to(self.models.device) for name, offset in offsets.items() if offset.any()}

    @property
    def domain(self) -> EditedDomain:
        """The source, its styles moved."""
        return offset_domain(self.models.source, self.offsets)

    def save(self, folder: Path) -> Made:
        """See `Pass.save`."""
        config, models = self.config, self.models
        save_offsets(folder / OFFSET_NAME, self.offsets)
        psi = config.channels.truncation_psi
        strip = strength_strip(models.source, self.offsets, config.strengths, config.strip_latents, psi)
        save_webp(strip, folder / STRIP_NAME)
        return Made(
            trained_steps=1,
            kept_step=1,
            bases=(sha256_file(models.base_path),),
            micro_batch=BATCH_SIZE,
            part=DirectionsRecord(
                num_moved=sum(int(offset.count_nonzero()) for offset in self.offsets.values()),
                num_channels=len(self.relevance),
                largest=self.relevance.abs().max().item(),
                by_layer={name: int(offset.count_nonzero()) for name, offset in self.offsets.items()},
                alpha=config.alpha,
                strengths=config.strengths,
            ),
        )


def load(folder: Path, models: Models) -> EditedDomain:
    """What a row left.

    Raises:
        CheckpointError: its file is missing, damaged, or of another style space than the source's.
    """
    return offset_domain(models.source, load_offsets(folder / OFFSET_NAME, models.source))
