"""What the judge sees of a mapper on the way, and which of them is kept, if any.

It looks at the pictures of latents that train nothing, drawn before and after the step, and measures how far they moved
along the text direction in its own CLIP space. A mapper that surely moved them and left them their variety is worth
keeping; of these the one that moved them furthest. Without any, a row draws what it started from: mining cannot rescue
a domain that failed, and then it must not make it worse either.
Legend: M pictures of a probe, L style layers, W_DIM latent width.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.generators.domain import Domain
from nada.judge.early_stopping import FLOOR
from nada.judge.features import Judge, SetFeatures, unit
from nada.judge.samples import fixed_latents, render
from nada.judge.spread import COLLAPSED, diversity
from nada.judge.texts import directional_similarities
from nada.methods.models import Models

PROBE_SEED = 20_210_331  # latents that no row trains on, and on which no score is measured
SURE = 2.0  # standard errors by which a gain must be above zero


@dataclass(frozen=True)
class Probe:
    """What the judge saw after some step."""

    step: int
    """Steps trained."""
    edit: float
    """Directional similarity, mean over the probe's images, in [-1, 1]."""
    gain: float
    """How far pictures moved along the text direction, mean, in [-2, 2]."""
    gain_error: float
    """Its standard error over the pictures, each compared with itself before."""
    diversity: float
    """Structural diversity, of that before on the same latents."""

    @property
    def is_sure(self) -> bool:
        """Whether it is worth keeping."""
        return self.gain > SURE * self.gain_error and self.diversity >= FLOOR


FIGURES = tuple(figure.name for figure in fields(Probe))


def best_probe(probes: Sequence[Probe]) -> Probe | None:
    """The one to keep, the first of equals; None: nothing was surely gained."""
    return max((probe for probe in probes if probe.is_sure), key=lambda probe: probe.gain, default=None)


def compare(step: int, text_dir: Tensor, before: SetFeatures, after: SetFeatures) -> Probe:
    """The figures of a probe.

    Args:
        step: steps trained.
        text_dir: the judge's, from the source text to the target text, [D].
        before: what the row starts from shows, M images.
        after: what it shows now on the same latents.
    """
    direction = unit(text_dir.detach().double().cpu().numpy())
    gains = (after.emb - before.emb) @ direction  # [M]
    spread = diversity(before.structure)
    return Probe(
        step=step,
        edit=float(directional_similarities(before.emb, after.emb, direction).mean()),
        gain=float(gains.mean()),
        gain_error=float(gains.std(ddof=1) / np.sqrt(len(gains))),
        diversity=diversity(after.structure) / spread if spread > COLLAPSED else 1.0,
    )


class Validator:
    """The judge's CLIP, the latents on which it looks, and what the row started from shows on them."""

    def __init__(self, models: Models, num_images: int) -> None:
        config = models.clips.judge_config
        self.judge = Judge(clip=models.clips.judge, batch_size=config.batch_size, device=models.device)
        self.ws = fixed_latents(models.source, num_images, models.samples.truncation_psi, PROBE_SEED)  # [M, L, W_DIM]
        self.before = self.see(models.source)

    @classmethod
    def of(cls, models: Models, num_images: int) -> Validator:
        """The same for every row of a source."""
        return models.keep(("validator of mappers", num_images), lambda: cls(models, num_images))

    def see(self, domain: Domain) -> SetFeatures:
        """Render and embed."""
        return self.judge.features(torch.cat(list(render(domain, self.ws, self.judge.batch_size))))

    def probe(self, domain: Domain, pair: PromptPair, step: int) -> Probe:
        """What it sees of a domain after some step."""
        text_dir = self.judge.clip.text_direction(pair.source, pair.target)
        return compare(step, text_dir, self.before, self.see(domain))


def write_probes(path: Path, probes: Sequence[Probe]) -> None:
    """One line a probe."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIGURES)
        for step, *figures in map(astuple, probes):
            writer.writerow([step, *(f"{figure:.6g}" for figure in figures)])
