"""Probes of a row in training by the judge, and the weights of the best one so far; see `nada.judge.early_stopping`.

The latents are the same for every row and are neither those that a row trains on nor those that its scores are
measured on. What a probe looks at are the weights that the row would keep if it ended there.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.errors import StateError
from nada.generators.protocol import Generator
from nada.judge import Embedder, Judge, SetFeatures
from nada.judge.early_stopping import Choice, Probe, choose, look
from nada.latents import draw_z, seeded_rng
from nada.methods.adapt.loop import Adaptation
from tasks.config.model import Params
from tasks.row.samples import render

PROBE_SEED = 20_220_719
FIGURES = tuple(figure.name for figure in fields(Probe))


@dataclass(frozen=True)
class Validator:
    """The judge, with what it compares with."""

    clip: Embedder
    ws: Tensor
    """Latents of the probes, [M, L, W_DIM]."""
    batch_size: int
    device: str

    @classmethod
    def of(cls, clip: Embedder, generator: Generator, num: int, params: Params, device: str) -> Validator:
        """With latents of its own."""
        with torch.no_grad():
            z = draw_z(num, generator, seeded_rng(PROBE_SEED))
            return cls(clip, generator.mapping(z, params.samples.truncation_psi), params.judge.batch_size, device)

    def see(self, generator: Generator) -> SetFeatures:
        """Render and embed."""
        img_u8 = torch.cat(list(render(generator, self.ws, self.batch_size)))
        return Judge(clip=self.clip, batch_size=self.batch_size, device=self.device).features(img_u8)


@dataclass
class Seen:
    """What a chooser has seen so far; all that its later choices depend on."""

    probes: list[Probe] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    """Weights of the best probe, by name."""
    seconds: float = 0.0
    """That looking took."""

    def state_dict(self) -> dict[str, Tensor]:
        """As named tensors."""
        columns = zip(FIGURES, zip(*map(astuple, self.probes), strict=True), strict=False)
        probes = {f"probes.{name}": torch.tensor(column, dtype=torch.float64) for name, column in columns}
        best = {f"best.{name}": weight.cpu() for name, weight in self.best.items()}
        return {**probes, **best, "seconds": torch.tensor(self.seconds, dtype=torch.float64)}

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, Tensor], names: Iterable[str]) -> Seen:
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
            return cls(probes, {name: tensors[f"best.{name}"] for name in names}, float(tensors["seconds"]))
        except (KeyError, TypeError, ValueError) as err:
            raise StateError(f"state: its probes do not fit this adaptation ({err}); start over") from err


class EarlyStopping:
    """Looks at an adaptation now and then, and keeps the best weights that it saw.

    Args:
        adaptation: before its first step, or just restored.
        eye: how it looks.
        source: what the frozen generator shows to it.
        pair: the row's prompts; no other row's, for a new row must not change this one.
    """

    def __init__(self, adaptation: Adaptation, eye: Validator, source: SetFeatures, pair: PromptPair) -> None:
        self.adaptation, self.eye, self.source, self.pair = adaptation, eye, source, pair
        self.seen = Seen()

    @property
    def choice(self) -> Choice:
        """What the probes so far say."""
        return choose(self.seen.probes, self.adaptation.config.iterations)

    def after(self, step: int) -> bool:
        """RenderInputs, if it is time; whether to stop after this many steps."""
        config = self.adaptation.config
        if step % config.probe_every and step != config.iterations:
            return False
        started = time.monotonic()
        with self.adaptation.averaged():
            shown = self.eye.see(self.adaptation.target)
            self.seen.probes.append(look(self.eye.clip, self.pair, self.source, shown, step))
            choice = self.choice
            if choice.step == step:
                self.seen.best = self.adaptation.weights()
        self.seen.seconds += time.monotonic() - started
        return choice.stop

    def record(self) -> dict[str, Any]:
        """What the row's record says of the choice."""
        choice = self.choice
        return {
            "step": choice.step,
            "trained": len(self.adaptation.trace),
            "why": choice.why,
            "probes": len(self.seen.probes),
            "seconds": round(self.seen.seconds, 3),
        }


def write_probes(path: Path, probes: list[Probe]) -> None:
    """One line a probe."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIGURES)
        for step, *figures in map(astuple, probes):
            writer.writerow([step, *(f"{figure:.6g}" for figure in figures)])
