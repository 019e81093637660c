"""A pass of latent optimisations: rows one after the other, each from its latent to its files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from nada.atomic import writing
from nada.errors import StateError
from nada.generators.domain import Domain
from nada.hashing import sha256_file
from nada.images import grid, to_u8
from nada.judge.samples import fixed_latents
from nada.latent_files import read_latents, write_latents
from nada.methods.base import TRACE_NAME, Assignment, Made, Step
from nada.methods.models import Models
from nada.methods.moved_styles import OFFSET_NAME
from nada.methods.optimise import edit
from nada.methods.optimise.config import OptimiseConfig
from nada.methods.optimise.loop import Optimisation, OptimisedStep
from nada.methods.optimise.record import OptimiseRecord
from nada.methods.row_by_row import RowByRow
from nada.methods.sheets import MOST_PX, at_most, save_webp

ADAM = ("step", "exp_avg", "exp_avg_sq")
COLUMNS = ("loss", "text", "latent")


class OptimisePass(RowByRow):
    """Optimisations from one source."""

    def __init__(self, assignments: Sequence[Assignment[OptimiseConfig]], models: Models) -> None:
        super().__init__({assignment.row: OptimisedRow(assignment, models) for assignment in assignments})


class OptimisedRow:
    """One row of a pass."""

    def __init__(self, assignment: Assignment[OptimiseConfig], models: Models) -> None:
        self.assignment, self.models, self.config = assignment, models, assignment.config

    @cached_property
    def ws(self) -> Tensor:
        """The latent, [1, L, W_DIM].

        Raises:
            LatentsError: the file is not of one latent of the source.
        """
        source, config = self.models.source, self.config
        if config.latents is None:
            return fixed_latents(source, 1, config.truncation_psi, self.assignment.seed)
        ws = read_latents(Path(config.latents)).ws(source.num_ws, source.w_dim, "the row's source")
        return torch.tensor(ws[:1], device=self.models.device)

    @cached_property
    def optimisation(self) -> Optimisation:
        """The loop, before its first step."""
        given, models = self.assignment, self.models
        return Optimisation(models.source, models.guide, given.goal, self.ws, self.config, given.seed)

    @property
    def offsets(self) -> dict[str, Tensor]:
        """What was found so far."""
        return {name: offset.detach() for name, offset in self.optimisation.offsets.items()}

    def steps(self) -> Iterator[Step]:
        """To the last step."""
        row, total = self.assignment.row, self.config.iterations
        for step in self.optimisation:
            done = len(self.optimisation.trace)
            yield Step(row=row, done=done, total=total, loss=step.loss, is_last=done == total)

    def save(self, folder: Path) -> Made:
        """See `Pass.save`."""
        found, base_sha256 = self.optimisation, sha256_file(self.models.base_path)
        with torch.no_grad():
            img = found.picture()
        edit.save(folder / OFFSET_NAME, self.offsets)
        write_latents(folder / edit.LATENT_NAME, self.ws[0].cpu().numpy(), {"generator": base_sha256})
        shown_u8 = at_most(to_u8(torch.cat([found.img_before, img])), MOST_PX)
        save_webp(grid(shown_u8, 2), folder / edit.EDIT_NAME)
        _write_trace(folder / TRACE_NAME, found.trace)
        return Made(
            trained_steps=len(found.trace),
            kept_step=len(found.trace),
            bases=(base_sha256,),
            micro_batch=1,
            part=OptimiseRecord(
                latent=self.config.latents or f"seed {self.assignment.seed}",
                first_loss=found.trace[0].loss.item(),
                last_loss=found.trace[-1].loss.item(),
                similarity_before=found.similarity(found.img_before),
                similarity_after=found.similarity(img),
                distance=found.squared_distance().sqrt().item(),
            ),
        )

    def domain(self) -> Domain:
        """The source, every latent moved as the one was."""
        return edit.edited(self.models.source, self.offsets)

    def state_dict(self) -> dict[str, Tensor]:
        """See `Pass.state_dict`."""
        found = self.optimisation
        tensors = {f"offset.{name}": offset for name, offset in self.offsets.items()}
        for name, offset in found.offsets.items():
            trained = found.optimizer.state.get(offset, {})
            tensors |= {f"adam.{part}.{name}": trained[part] for part in ADAM if part in trained}
        for column in COLUMNS:
            values = [getattr(step, column) for step in found.trace]
            tensors[f"trace.{column}"] = torch.stack([value.cpu() for value in values]) if values else torch.empty(0)
        return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> int:
        """See `Pass.load_state_dict`."""
        found = self.optimisation
        try:
            columns = [tensors[f"trace.{column}"] for column in COLUMNS]
            trace = [OptimisedStep(*values) for values in zip(*columns, strict=True)]
            offsets = {name: tensors[f"offset.{name}"] for name in found.offsets}
            adam = [{part: tensors[f"adam.{part}.{name}"].clone() for part in ADAM} for name in found.offsets]
        except (KeyError, ValueError, TypeError) as err:
            raise StateError(f"state: not one of a latent optimisation ({err}); start over") from err
        fits = all(offsets[name].shape == offset.shape for name, offset in found.offsets.items())
        if not fits or not 1 <= len(trace) <= self.config.iterations:
            raise StateError("state: of another row; start over")
        with torch.no_grad():
            for name, offset in found.offsets.items():
                offset.copy_(offsets[name])
        found.optimizer.load_state_dict({**found.optimizer.state_dict(), "state": dict(enumerate(adam))})
        found.trace = trace
        return len(trace)


def _write_trace(path: Path, trace: Sequence[OptimisedStep]) -> None:
    with writing(path), path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", *COLUMNS])
        for index, step in enumerate(trace, start=1):
            writer.writerow([index, *(f"{getattr(step, column).item():.6g}" for column in COLUMNS)])
