"""A pass of adaptations, each from its first step, or from a saved state, to its files.

Light rows take their steps together (`nada.methods.adapt.together`), others one after the other.

Everything that an adapted row runs is imported from here: an edit of any of it makes adapted rows anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from nada.errors import NadaError
from nada.generators.light.generator import LightGenerator
from nada.generators.registry import Network
from nada.judge.samples import fixed_latents, render
from nada.methods.adapt import artifact
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.early_stopping import PROBE_SEED, EarlyStopping, ValidationHistory, write_probes
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.objective.source_embeddings import SourceEmbeddings
from nada.methods.adapt.parametrisation import begin_target
from nada.methods.adapt.record import AdaptRecord, Rounding, SharedSources
from nada.methods.adapt.together.ride import Seat
from nada.methods.adapt.together.rows import ride_together
from nada.methods.adapt.trace import TrainingStep, write_trace
from nada.methods.base import (
    GLIMPSED,
    PROBES_NAME,
    TRACE_NAME,
    Assignment,
    Glimpse,
    Made,
    Pass,
    RowError,
    Step,
    checkpoint_name,
)
from nada.methods.models import Models

# What begins names in a saved state:
VALIDATION = "choice."  # of early stopping's tensors
RIDE = "ride."  # of those that tell with how many others a row began


class AdaptPass(Pass):
    """Adaptations of one source."""

    def __init__(self, assignments: Sequence[Assignment[AdaptConfig]], models: Models) -> None:
        self._rows = {assignment.row: AdaptedRow(assignment, models) for assignment in assignments}
        if len(assignments) > 1 and all(assignment.config.is_light for assignment in assignments):
            lengths = tuple(assignment.config.iterations for assignment in assignments)
            for index, row in enumerate(self._rows.values()):
                row.seat = Seat(index, lengths)

    def __iter__(self) -> Iterator[Step | RowError]:
        if all(row.seat is not None for row in self._rows.values()):
            yield from ride_together(self._rows)
            return
        for name, row in self._rows.items():
            try:
                yield from row.train()
            except NadaError as err:
                yield RowError(row=name, error=err)

    def state_dict(self, row: str) -> dict[str, Tensor]:
        """The tensors of `nada.methods.adapt.state`, of early stopping under `choice.`, and of a seat under `ride.`."""
        return self._rows[row].state_dict()

    def load_state_dict(self, row: str, tensors: dict[str, Tensor]) -> int:
        """See `Pass.load_state_dict`."""
        return self._rows[row].load_state_dict(tensors)

    def glimpse(self, row: str) -> Glimpse | None:
        """See `Pass.glimpse`."""
        return self._rows[row].glimpse()

    def domain(self, row: str) -> Network | LightGenerator:
        """The adapted generator, its weights rounded where its file will round them."""
        return self._rows[row].kept

    def save(self, row: str, folder: Path) -> Made:
        """Weights, trace, and probes where there were any."""
        return self._rows[row].save(folder)


class AdaptedRow:
    """One row of a pass."""

    def __init__(self, assignment: Assignment[AdaptConfig], models: Models) -> None:
        self.assignment, self.models = assignment, models
        self.kept: Network | LightGenerator
        """What the row keeps, after its last step."""
        self.rounding: Rounding | None = None
        self.is_over = False
        """Whether the target holds what the row keeps."""
        self.seat: Seat | None = None
        """Its place among the rows that it rides with."""

    @cached_property
    def source(self) -> Network | LightGenerator:
        """The frozen generator; a light one stays light where this row is light too."""
        source = self.models.source
        is_light = self.assignment.config.is_light and isinstance(source, LightGenerator)
        return source if is_light else self.models.source_generator  # type: ignore[return-value]

    @cached_property
    def target(self) -> Network | LightGenerator:
        """The generator in training."""
        torch.manual_seed(self.assignment.seed)  # the loop seeds itself; this covers anything that draws unasked
        return begin_target(self.source, self.assignment.config)

    @cached_property
    def adaptation(self) -> Adaptation:
        """The loop, before its first step."""
        given, models = self.assignment, self.models
        frozen = models.base if given.config.frozen == "base" else self.source
        known = models.keep(("embeddings of", frozen), SourceEmbeddings)
        return Adaptation(frozen, self.target, models.guide, given.goal, given.config, given.seed, self._at_once, known)

    @property
    def _at_once(self) -> int | None:
        """Pictures, at most: of all rows that ride together, or by default of one."""
        config = self.assignment.config
        if self.models.micro_batch is not None or self.seat is None:
            return self.models.micro_batch
        return max(config.batch_size * len(self.seat.lengths), config.most_pictures)

    @cached_property
    def stopping(self) -> EarlyStopping | None:
        """Who chooses the checkpoint, if the row asks for that."""
        if self.assignment.config.stop == "fixed":
            return None
        return EarlyStopping.of(self.adaptation, self.models, self.assignment.goal)

    def train(self) -> Iterator[Step]:
        """To the last step, or to where the judge stops it; after it the target holds what the row keeps."""
        at_once = self.adaptation.micro_batch.size
        for step in self.adaptation:
            yield from self.after(step, at_once)
            if self.is_over:
                return
            at_once = self.adaptation.micro_batch.size

    def after(self, step: TrainingStep, at_once: int) -> list[Step]:
        """News of a step that was taken; the judge looks, and the row may be over.

        Args:
            step: what happened.
            at_once: pictures at once before it.

        Raises:
            NonFiniteLossError: the row is over, and what it would keep is not finite.
        """
        row, done, total = self.assignment.row, step.index + 1, self.assignment.config.iterations
        stops = self.stopping is not None and self.stopping.after(done)
        if stops or done == total:
            self.end()
        news = [Step(row=row, done=done, total=total, loss=step.loss, is_last=self.is_over)]
        if (size := self.adaptation.micro_batch.size) < at_once:
            note = f"out of memory; at most {size} at once from here on"
            news.insert(0, Step(row=row, done=done, total=total, note=note))
        return news

    def end(self) -> None:
        """Give the target the weights that the row keeps, as its file will give them back."""
        self.adaptation.end(None if self.stopping is None else self.stopping.history.best)
        self.kept = artifact.as_stored(self.target.eval(), self.assignment.storage, self.models)
        if self.assignment.storage == "fp16":
            assert isinstance(self.kept, Network)
            self.rounding = artifact.round_as_stored(self.assignment.row, self.kept, self.models)
        self.is_over = True

    @property
    def kept_step(self) -> int:
        """After which the kept weights were taken."""
        return len(self.adaptation.trace) if self.stopping is None else self.stopping.choice.step

    def glimpse(self) -> Glimpse | None:
        """The latest probe's pictures, or, where no judge looks on and at the end, a few on the same latents."""
        if self.is_over:
            return Glimpse(self.kept_step, self._draw(self.kept))
        if self.stopping is not None:
            return self.stopping.glimpse
        with self.adaptation.parameters.averaged():
            return Glimpse(len(self.adaptation.trace), self._draw(self.target))

    def _draw(self, generator: Network | LightGenerator) -> Tensor:
        source, psi = self.models.source, self.models.samples.truncation_psi
        ws = self.models.keep("glimpsed", lambda: fixed_latents(source, GLIMPSED, psi, PROBE_SEED))
        return torch.cat(list(render(generator, ws, GLIMPSED)))

    def save(self, folder: Path) -> Made:
        """See `Pass.save`."""
        trace = self.adaptation.trace
        bases = artifact.save(folder, self.kept, self.assignment.storage, self.models)
        write_trace(folder / TRACE_NAME, trace, len(self.target.conv_layers()))
        if self.stopping is not None:
            write_probes(folder / PROBES_NAME, self.stopping.history.probes)
            self._save_checkpoints(folder, self.stopping)
        return Made(
            trained_steps=len(trace),
            kept_step=self.kept_step,
            bases=bases,
            micro_batch=self.adaptation.micro_batch.size,
            part=AdaptRecord(
                first_loss=trace[0].loss.item(),
                last_loss=trace[-1].loss.item(),
                rounding=self.rounding,
                early_stopping=None if self.stopping is None else self.stopping.record(),
                shared_sources=self.shared_sources(),
            ),
        )

    def _save_checkpoints(self, folder: Path, stopping: EarlyStopping) -> None:
        """What the row was at some looks, the chosen one aside; afterwards the target is as it was."""
        parameters, storage = self.adaptation.parameters, self.assignment.storage
        chosen = parameters.snapshot()
        for step, weights in stopping.history.kept.items():
            if step != stopping.choice.step and parameters.restore(weights):
                shown = artifact.as_stored(self.target, storage, self.models)
                artifact.save(folder, shown, storage, self.models, checkpoint_name(step))
        parameters.restore(chosen)

    def shared_sources(self) -> SharedSources:
        """What other rows of this worker spared this one."""
        tally, num_bytes = self.adaptation.tally, self.adaptation.known.num_bytes
        return SharedSources(asked=tally.asked, known=tally.known, bytes=num_bytes)

    def state_dict(self) -> dict[str, Tensor]:
        """See `Pass.state_dict`."""
        chosen = {} if self.stopping is None else self.stopping.history.state_dict()
        place = {} if self.seat is None else self.seat.state_dict()
        return (
            self.adaptation.state_dict()
            | {f"{VALIDATION}{name}": tensor for name, tensor in chosen.items()}
            | {f"{RIDE}{name}": tensor for name, tensor in place.items()}
        )

    def load_state_dict(self, tensors: dict[str, Tensor]) -> int:
        """See `Pass.load_state_dict`."""
        place = {name.removeprefix(RIDE): tensor for name, tensor in tensors.items() if name.startswith(RIDE)}
        if place or self.seat is not None:  # it goes on in the company of then, whoever of it is left
            self.seat = Seat.from_state_dict(place, self.assignment.config.iterations)
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith((VALIDATION, RIDE))}
        if self.stopping is None:
            self.adaptation.load_state_dict(own)
            return len(self.adaptation.trace)
        chosen = {
            name.removeprefix(VALIDATION): tensor for name, tensor in tensors.items() if name.startswith(VALIDATION)
        }
        names = [name for name, _ in self.adaptation.parameters.named()]
        history = ValidationHistory.from_state_dict(chosen, names)
        self.adaptation.load_state_dict(own)  # either both are changed or none
        self.stopping.history = history
        return len(self.adaptation.trace)
