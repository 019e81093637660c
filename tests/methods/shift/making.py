"""A pass of shifts: one batch of latents and one picture of each by the source in a step, an offset for every row.

Legend: K rows, N batch, L style layers, W_DIM latent width, R resolution in pixels.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nada.atomic import writing
from nada.clip.losses import directional_loss
from nada.errors import CheckpointError, NonFiniteLossError, StateError
from nada.generators.domain import Domain
from nada.generators.protocol import Noise, Styles
from nada.hashing import sha256_file
from nada.latents import draw_ws, seeded_rng
from nada.methods.base import TRACE_NAME, Assignment, Made, Pass, RowError, Step
from nada.methods.models import Models
from nada.micro_batch import parts
from tests.methods.shift.config import ShiftConfig
from tests.methods.shift.record import ShiftRecord

OFFSET_NAME = "offset.safetensors"
SEEDS_APART = 1_000_003  # every step has a seed of its own, so that a row goes on alone where others are ahead


class ShiftedSynthesis(nn.Module):
    """ws to the source's pictures of ws + offset."""

    def __init__(self, source: Domain, offset: Tensor) -> None:
        super().__init__()
        self.source = source.synthesis
        self.register_buffer("offset", offset)

    def forward(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        return self.source(ws + self.offset, noise)

    def styles(self, ws: Tensor) -> Styles:
        return self.source.styles(ws + self.offset)

    def from_styles(self, styles: Styles, noise: Noise = "const") -> Tensor:
        return self.source.from_styles(styles, noise)


class Shifted(nn.Module):
    """The source with its latents moved by an offset [W_DIM]."""

    def __init__(self, source: Domain, offset: Tensor) -> None:
        super().__init__()
        self.z_dim, self.w_dim, self.num_ws = source.z_dim, source.w_dim, source.num_ws
        self.resolution = source.resolution
        self.mapping = source.mapping
        self.synthesis = ShiftedSynthesis(source, offset)


class ShiftedRow:
    """One row of a pass, between two steps."""

    def __init__(self, assignment: Assignment[ShiftConfig], models: Models) -> None:
        self.name, self.config = assignment.row, assignment.config
        self.directions = assignment.goal.directions(models.guide)  # [D] a model
        self.offset = torch.zeros(models.source.w_dim, device=models.device, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.offset], lr=self.config.learning_rate, betas=(0.0, 0.99))
        self.losses: list[Tensor] = []
        self.is_lost = False

    def learn(self, loss: Tensor) -> Step | RowError:
        """Move the offset along the gradient of this loss."""
        if not loss.isfinite():
            self.is_lost = True
            message = f"step {len(self.losses)}: the loss is {loss.item()}; try a smaller shift.learning_rate"
            return RowError(row=self.name, error=NonFiniteLossError(f"{message} (now {self.config.learning_rate})"))
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.losses.append(loss.detach())
        done, total = len(self.losses), self.config.iterations
        return Step(row=self.name, done=done, total=total, loss=self.losses[-1], is_last=done == total)

    def state_dict(self) -> dict[str, Tensor]:
        """The offset, Adam's two moments, and the losses so far."""
        adam = self.optimizer.state[self.offset]
        moments = {name: adam[name].cpu() for name in ("step", "exp_avg", "exp_avg_sq")}
        return {"offset": self.offset.detach().cpu(), "losses": torch.stack(self.losses).cpu(), **moments}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> int:
        """See `Pass.load_state_dict`."""
        try:
            losses, offset = tensors["losses"], tensors["offset"]
            adam = {name: tensors[name].clone() for name in ("step", "exp_avg", "exp_avg_sq")}
        except KeyError as err:
            raise StateError(f"state: no {err} in it; start over") from err
        if offset.shape != self.offset.shape or not 1 <= len(losses) < self.config.iterations:
            raise StateError("state: of another row; start over")
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": {0: adam}})
        with torch.no_grad():
            self.offset.copy_(offset)
        self.losses = list(losses)
        return len(losses)


class ShiftPass(Pass):
    """Shifts of one source, side by side."""

    def __init__(self, assignments: Sequence[Assignment[ShiftConfig]], models: Models) -> None:
        self.models, self.seed, self.batch_size = models, assignments[0].seed, assignments[0].config.batch_size
        self.rows = {assignment.row: ShiftedRow(assignment, models) for assignment in assignments}

    def __iter__(self) -> Iterator[Step | RowError]:
        for index in range(max(row.config.iterations for row in self.rows.values())):
            rows = [row for row in self.rows.values() if self._takes_part(row, index)]
            if rows:
                losses = self._losses(rows, index)
                losses.sum().backward()
                yield from [row.learn(loss) for row, loss in zip(rows, losses, strict=True)]

    @staticmethod
    def _takes_part(row: ShiftedRow, index: int) -> bool:
        return not row.is_lost and index == len(row.losses) < row.config.iterations

    def _losses(self, rows: Sequence[ShiftedRow], index: int) -> Tensor:
        """One directional loss [K] a row."""
        source, guide, rng = self.models.source, self.models.guide, seeded_rng(self.seed * SEEDS_APART + index)
        ws = draw_ws(self.batch_size, source, rng)  # [N, L, W_DIM]
        views = guide.draw_augmentations(self.batch_size, source.resolution, rng)
        with torch.no_grad():
            emb_source = guide.embed_images(source.synthesis(ws), views)  # [N, D] a model
        img = source.synthesis(torch.cat([ws + row.offset for row in rows]))  # [K * N, 3, R, R]
        slices = parts(len(img), self.batch_size)
        embs = [guide.embed_images(img[part], views) for part in slices]
        edits = [map(directional_loss, emb_source, emb, row.directions) for row, emb in zip(rows, embs, strict=True)]
        return torch.stack([guide.weigh(edit) for edit in edits])

    def state_dict(self, row: str) -> dict[str, Tensor]:
        """See `ShiftedRow.state_dict`."""
        return self.rows[row].state_dict()

    def load_state_dict(self, row: str, tensors: dict[str, Tensor]) -> int:
        """See `Pass.load_state_dict`."""
        return self.rows[row].load_state_dict(tensors)

    def domain(self, row: str) -> Shifted:
        """The source, shifted."""
        return Shifted(self.models.source, self.rows[row].offset.detach())

    def save(self, row: str, folder: Path) -> Made:
        """The offset and the trace."""
        made = self.rows[row]
        with writing(folder):
            save_file({"offset": made.offset.detach().cpu()}, folder / OFFSET_NAME)
            with (folder / TRACE_NAME).open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["step", "loss"])
                writer.writerows((index, f"{loss.item():.6g}") for index, loss in enumerate(made.losses, start=1))
        first, last, steps = made.losses[0].item(), made.losses[-1].item(), len(made.losses)
        return Made(
            trained_steps=steps,
            kept_step=steps,
            bases=(sha256_file(self.models.base_path),),
            micro_batch=self.batch_size,
            part=ShiftRecord(first_loss=first, last_loss=last, length=made.offset.norm().item()),
        )


def load(folder: Path, models: Models) -> Shifted:
    """What a row left.

    Raises:
        CheckpointError: its file is missing, damaged, or of another width than the source.
    """
    path = folder / OFFSET_NAME
    try:
        offset = load_file(path, models.device)["offset"]
    except (SafetensorError, OSError, KeyError) as err:
        raise CheckpointError(f"{path}: no offset ({err})") from err
    if offset.shape != (models.source.w_dim,):
        raise CheckpointError(
            f"{path}: an offset {list(offset.shape)}; the source has latents of {models.source.w_dim}"
        )
    return Shifted(models.source, offset)
