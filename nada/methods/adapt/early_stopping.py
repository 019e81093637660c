"""Early stopping by the judge, and the weights of the best checkpoint so far; see `nada.judge.early_stopping`.

The latents of its probes are the same for every row and are neither those that a row trains on nor those that its
scores are measured on. What a probe looks at are the weights that the row would keep if it ended there.
Legend: M pictures of a probe, L style layers, W_DIM latent width.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

import torch
from torch import Tensor

from nada.clip.goal import Goal
from nada.errors import StateError
from nada.generators.domain import Domain
from nada.judge.early_stopping import Choice, Probe, choose, look
from nada.judge.features import Embedder, Judge, SetFeatures
from nada.judge.samples import fixed_latents, render
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.record import EarlyStoppingRecord
from nada.methods.base import GLIMPSED, Glimpse
from nada.methods.models import Models

PROBE_SEED = 20_220_719
FIGURES = tuple(figure.name for figure in fields(Probe))


@dataclass(frozen=True)
class Validator:
    """The judge's CLIP, and the latents on which it looks."""

    clip: Embedder
    ws: Tensor
    """[M, L, W_DIM]."""
    batch_size: int
    device: str

    @classmethod
    def of(cls, models: Models, num_images: int) -> Validator:
        """With latents of its own."""
        ws = fixed_latents(models.source, num_images, models.samples.truncation_psi, PROBE_SEED)
        return cls(models.clips.judge, ws, models.clips.judge_config.batch_size, models.device)

    def draw(self, domain: Domain) -> Tensor:
        """Its pictures, [M, 3, R, R] bytes."""
        return torch.cat(list(render(domain, self.ws, self.batch_size)))

    def see(self, domain: Domain) -> SetFeatures:
        """Render and embed."""
        return self.features(self.draw(domain))

    def features(self, img_u8: Tensor) -> SetFeatures:
        """Embed pictures."""
        return Judge(clip=self.clip, batch_size=self.batch_size, device=self.device).features(img_u8)


@dataclass
class ValidationHistory:
    """What was seen so far; all that later choices depend on."""

    probes: list[Probe] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    """Weights of the best probe, by name."""
    seconds: float = 0.0
    """That looking took."""
    kept: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    """Step -> weights, of the checkpoints that are kept beside the best."""

    def state_dict(self) -> dict[str, Tensor]:
        """As named tensors."""
        columns = zip(FIGURES, zip(*map(astuple, self.probes), strict=True), strict=False)
        probes = {f"probes.{name}": torch.tensor(column, dtype=torch.float64) for name, column in columns}
        best = {f"best.{name}": weight.cpu() for name, weight in self.best.items()}
        for step, weights in self.kept.items():
            best |= {f"kept.{step}.{name}": weight.cpu() for name, weight in weights.items()}
        return {**probes, **best, "seconds": torch.tensor(self.seconds, dtype=torch.float64)}

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, Tensor], names: Iterable[str]) -> ValidationHistory:
        """Read it back.

        Args:
            tensors: what `state_dict` returned.
            names: of the weights that are trained.

        Raises:
            StateError: it is something else.
        """
        try:
            if "probes.step" not in tensors:
                return cls(seconds=float(tensors["seconds"]))
            columns = [tensors[f"probes.{name}"].tolist() for name in FIGURES]
            probes = [Probe(int(step), *figures) for step, *figures in zip(*columns, strict=True)]
            names = list(names)
            steps = sorted({int(name.split(".")[1]) for name in tensors if name.startswith("kept.")})
            kept = {step: {name: tensors[f"kept.{step}.{name}"] for name in names} for step in steps}
            return cls(probes, {name: tensors[f"best.{name}"] for name in names}, float(tensors["seconds"]), kept)
        except (KeyError, TypeError, ValueError) as err:
            raise StateError(f"state: its probes do not fit this adaptation ({err}); start over") from err


class EarlyStopping:
    """Looks at an adaptation now and then, and keeps the best weights that it saw.

    Args:
        adaptation: before its first step, or just restored.
        validator: how it looks.
        source: what the frozen generator shows to it.
        goal: the row's; no other row's, for a new row must not change this one.
    """

    def __init__(self, adaptation: Adaptation, validator: Validator, source: SetFeatures, goal: Goal) -> None:
        self.adaptation, self.validator, self.source, self.goal = adaptation, validator, source, goal
        self.history = ValidationHistory()
        self.glimpse: Glimpse | None = None
        """The first pictures of the latest probe."""

    @classmethod
    def of(cls, adaptation: Adaptation, models: Models, goal: Goal) -> EarlyStopping:
        """With what is the same for every row of a source."""
        num, frozen = adaptation.config.probe_images, adaptation.source
        validator = models.keep(("validator", num), lambda: Validator.of(models, num))
        source = models.keep(("source of probes", num, frozen), lambda: validator.see(frozen))
        return cls(adaptation, validator, source, goal)

    @property
    def choice(self) -> Choice:
        """What the probes so far say."""
        config = self.adaptation.config
        return choose(self.history.probes, config.iterations, config.give_up_after)

    def after(self, step: int) -> bool:
        """Look, if it is time; whether to stop after this many steps."""
        config = self.adaptation.config
        if step % config.probe_every and step != config.iterations:
            return False
        started = time.monotonic()
        with self.adaptation.parameters.averaged():
            img_u8 = self.validator.draw(self.adaptation.target)
            shown = self.validator.features(img_u8)
            self.history.probes.append(look(self.validator.clip, self.goal, self.source, shown, step))
            choice = self.choice
            if choice.step == step:
                self.history.best = self.adaptation.parameters.snapshot()
            if config.checkpoints:
                self._keep(step)
        self.glimpse = Glimpse(step, img_u8[:GLIMPSED].clone())  # not a view, which would keep all of them
        self.history.seconds += time.monotonic() - started
        return choice.stop

    def _keep(self, step: int) -> None:
        config = self.adaptation.config
        steps = set(evenly([*self.history.kept, step], config.probe_every, config.checkpoints))
        self.history.kept = {kept: weights for kept, weights in self.history.kept.items() if kept in steps}
        if step in steps:
            self.history.kept[step] = self.adaptation.parameters.snapshot()

    def record(self) -> EarlyStoppingRecord:
        """What the row's record says of the choice."""
        history = self.history
        return EarlyStoppingRecord(why=self.choice.why, probes=len(history.probes), seconds=round(history.seconds, 3))


def evenly(steps: Sequence[int], every: int, most: int) -> list[int]:
    """Of steps so far, at most so many, evenly spread: every look's, every second's, every fourth's, and so on.

    >>> evenly([20, 40, 60, 80], 20, 4), evenly([20, 40, 60, 80, 100], 20, 4), evenly([40, 80, 120], 20, 4)
    ([20, 40, 60, 80], [40, 80], [40, 80, 120])
    """
    stride = every
    while steps[-1] // stride > most:
        stride *= 2
    return [step for step in steps if step % stride == 0]


def write_probes(path: Path, probes: list[Probe]) -> None:
    """One line a probe."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIGURES)
        for step, *figures in map(astuple, probes):
            writer.writerow([step, *(f"{figure:.6g}" for figure in figures)])
