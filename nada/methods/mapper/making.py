"""A pass of mappers: rows one after the other, each from its first step, or from a saved state, to its files.

Everything that a mapper's row runs is imported from here: an edit of any of it makes such rows anew.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from nada.atomic import writing
from nada.clip.goal import PromptPair
from nada.errors import NonFiniteLossError, StateError
from nada.hashing import sha256_file
from nada.methods.base import PROBES_NAME, TRACE_NAME, Assignment, Made, Step
from nada.methods.edited_domain import EditedDomain, MovedLatents
from nada.methods.mapper import artifact, state
from nada.methods.mapper.config import MapperConfig
from nada.methods.mapper.loop import MapperTraining
from nada.methods.mapper.network import LatentMapper
from nada.methods.mapper.record import Kept, MapperRecord
from nada.methods.mapper.validation import FIGURES, Probe, Validator, best_probe, write_probes
from nada.methods.models import Models
from nada.methods.row_by_row import RowByRow

PROBES, BEST, SECONDS = "probes.", "best.", "probes_seconds"  # names of what looking adds to a saved state


class MapperPass(RowByRow):
    """Mappers on one source."""

    def __init__(self, assignments: Sequence[Assignment[MapperConfig]], models: Models) -> None:
        super().__init__({assignment.row: MappedRow(assignment, models) for assignment in assignments})


class MappedRow:
    """One row of a pass."""

    def __init__(self, assignment: Assignment[MapperConfig], models: Models) -> None:
        self.assignment, self.models, self.config = assignment, models, assignment.config
        self.probes: list[Probe] = []
        self.best: dict[str, Tensor] = {}
        """Weights of the best probe that surely gained, by name."""
        self.probe_seconds = 0.0
        self.kept: LatentMapper | None = None
        """What the row leaves, once it ended."""

    @cached_property
    def training(self) -> MapperTraining:
        """The loop, before its first step."""
        given, models = self.assignment, self.models
        return MapperTraining(models.source, models.guide, given.goal, given.config, given.seed, models.micro_batch)

    def steps(self) -> Iterator[Step]:
        """To the last step; after it the domain draws what the row keeps."""
        row, total, training = self.assignment.row, self.config.iterations, self.training
        if self.config.keep == "best":
            Validator.of(self.models, self.config.probe_images)  # what it starts from is looked at outside of the clock
        size = training.micro_batch.size
        for terms in training:
            done = len(training.trace)
            self.look(done)
            if training.micro_batch.size < size:
                size = training.micro_batch.size
                yield Step(row=row, done=done, total=total, note=f"out of memory; at most {size} at once from here on")
            if done == total:
                self.end()
            yield Step(row=row, done=done, total=total, loss=terms["loss"], is_last=done == total)

    def look(self, done: int) -> None:
        """Let the judge see the mapper after some step, if it is time."""
        if self.config.keep == "last" or (done % self.config.probe_every and done != self.config.iterations):
            return
        started = time.monotonic()
        validator, mapper = Validator.of(self.models, self.config.probe_images), self.training.mapper
        goal = self.assignment.goal
        assert isinstance(goal, PromptPair), "a mapper learns from no pictures"
        self.probes.append(validator.probe(self._drawing(mapper), goal, done))
        if best_probe(self.probes) is self.probes[-1]:
            self.best = {name: weight.detach().clone() for name, weight in mapper.state_dict().items()}
        self.probe_seconds += time.monotonic() - started

    @torch.no_grad()
    def end(self) -> None:
        """Decide what the row leaves.

        Raises:
            NonFiniteLossError: the last mapper was to be kept, and is not finite.
        """
        mapper = self.training.mapper.requires_grad_(False)
        if self.config.keep == "best":
            if self.best:
                mapper.load_state_dict(self.best)
            else:
                mapper = LatentMapper(mapper.w_dim, mapper.num_ws, (), mapper.scale)
        if not all(bool(weight.isfinite().all()) for weight in mapper.parameters()):
            problem = f"step {self.config.iterations - 1}: the last update left weights that are not finite"
            now = self.config.learning_rate
            raise NonFiniteLossError(f"{problem}; try a smaller mapper.learning_rate (now {now})")
        self.kept = mapper.eval()

    def domain(self) -> EditedDomain:
        """See `MapperPass.domain`."""
        assert self.kept is not None, "the row has not ended"
        return self._drawing(self.kept)

    def _drawing(self, mapper: LatentMapper) -> EditedDomain:
        source = self.models.source
        return EditedDomain(source, MovedLatents(source, mapper))

    def save(self, folder: Path) -> Made:
        """See `Pass.save`."""
        assert self.kept is not None, "the row has not ended"
        training, steps = self.training, len(self.training.trace)
        artifact.save(folder / artifact.MAPPER_NAME, self.kept)
        with writing(folder):
            write_trace(folder / TRACE_NAME, training)
            if self.probes:
                write_probes(folder / PROBES_NAME, self.probes)
        found = best_probe(self.probes)
        looked = self.config.keep == "best"
        first, last = (training.trace[at]["loss"].item() for at in (0, -1))
        return Made(
            trained_steps=steps,
            kept_step=(0 if found is None else found.step) if looked else steps,
            bases=(sha256_file(self.models.base_path),),
            micro_batch=training.micro_batch.size,
            part=MapperRecord(
                first_loss=first,
                last_loss=last,
                is_kept=bool(self.kept.groups),
                kept=self._kept(found or self.probes[-1]) if looked else None,
            ),
        )

    def _kept(self, probe: Probe) -> Kept:
        return Kept(
            gain=probe.gain,
            gain_error=probe.gain_error,
            diversity=probe.diversity,
            num_images=self.config.probe_images,
            probes=len(self.probes),
            seconds=round(self.probe_seconds, 3),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """See `MapperPass.state_dict`."""
        columns = {name: [getattr(probe, name) for probe in self.probes] for name in FIGURES}
        probes = {f"{PROBES}{name}": torch.tensor(column, dtype=torch.float64) for name, column in columns.items()}
        best = {f"{BEST}{name}": weight.cpu() for name, weight in self.best.items()}
        seconds = torch.tensor(self.probe_seconds, dtype=torch.float64)
        return {**state.capture(self.training), **probes, **best, SECONDS: seconds}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> int:
        """See `Pass.load_state_dict`."""
        own = {name: one for name, one in tensors.items() if not name.startswith((PROBES, BEST, SECONDS))}
        weights = self.training.mapper.state_dict()
        try:
            columns = [tensors[f"{PROBES}{name}"].tolist() for name in FIGURES]
            probes = [Probe(int(step), *figures) for step, *figures in zip(*columns, strict=True)]
            best = {name: tensors[f"{BEST}{name}"] for name in weights} if best_probe(probes) else {}
            seconds = float(tensors[SECONDS])
            fits = all(weight.shape == weights[name].shape for name, weight in best.items())
        except (KeyError, TypeError, ValueError, RuntimeError) as err:
            raise StateError(f"state: its probes do not fit this mapper ({err}); start over") from err
        if not fits or len(own) + len(best) + len(FIGURES) + 1 != len(tensors):
            raise StateError("state: its best weights do not fit this mapper; start over")
        state.restore(self.training, own)  # either all is changed or nothing
        self.probes, self.probe_seconds = probes, seconds
        self.best = {name: weight.to(self.models.device) for name, weight in best.items()}
        return len(self.training.trace)


def write_trace(path: Path, training: MapperTraining) -> None:
    """One line a step: its loss, and the terms of the loss before they are weighed."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", *training.terms])
        for step, terms in enumerate(training.trace, start=1):
            writer.writerow([step, *(f"{terms[name].item():.6g}" for name in training.terms)])


def load(folder: Path, models: Models) -> EditedDomain:
    """What a row left.

    Raises:
        CheckpointError: its file is missing, damaged, or made for latents of another shape.
    """
    mapper = artifact.load(folder / artifact.MAPPER_NAME, models.source)
    return EditedDomain(models.source, MovedLatents(models.source, mapper))
