"""What choosing the checkpoint is worth: the judge's choice against every fixed count, by the truth.

    python benchmarks/choose.py                             # every domain of prompts.csv: half an hour on one core
    python benchmarks/choose.py --domains red,neon --steps 160
    python benchmarks/choose.py --cosine 150,200,300        # and runs of these lengths with a falling rate: hours

One run a domain with its recipe, constant rate and averaged weights: each checkpoint is what a row of that many steps
would have kept, and the choice is that of a row with `stop: auto`. The truth is measured beside the probes and never
shown to them: the judge's distance to true images, as a share of the unadapted source's, and for domains that a filter
defines the four figures of pixels against the true pictures of the same latents (docs/scores.md).
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from truth import BATCH, truths_of

from nada.clip.goal import PromptPair
from nada.generators.domain import Domain
from nada.judge import Judge, SetFeatures, frechet_distance
from nada.judge.early_stopping import Choice
from nada.judge.paired import MAX_PICTURES, pixel_figures
from nada.judge.samples import fixed_latents, render
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.early_stopping import EarlyStopping, Validator
from nada.methods.adapt.loop import Adaptation
from nada.methods.models import Clips, Models
from tasks.caches.feature_cache import reference_features
from tasks.config.model import Params
from tasks.config.params import load_params
from tasks.config.prompts import load_prompts
from tasks.config.row import Row

AUTO = {"stop": "auto", "decay": "constant", "ema": 0.9}
LEFT = "distance left"
FIXED = {"stop": "fixed", "decay": "cosine", "ema": 0.0}


@dataclass(frozen=True)
class World:
    """What every run needs."""

    params: Params
    models: Models
    truth: Validator
    """On the latents of the scores."""
    unadapted: SetFeatures
    """What the source shows on them."""

    @classmethod
    def load(cls, num: int) -> World:
        """From params.yaml, with `num` samples behind each distance."""
        params = load_params()
        path = Path(params.generator.weights)
        models = Models(path, path.name, Clips(params.guide, params.judge, "cpu"), params.samples)
        ws = fixed_latents(models.source, num, params.samples.truncation_psi)
        truth = Validator(models.clips.judge, ws, params.judge.batch_size, "cpu")
        return cls(params, models, truth, truth.see(models.source))

    def pictures(self, domain: Domain) -> Tensor:
        """Of the latents on which pixels are compared, [N, 3, R, R] bytes."""
        return torch.cat(list(render(domain, self.truth.ws[:MAX_PICTURES], BATCH)))

    def adaptation(self, row: Row, config: AdaptConfig) -> Adaptation:
        """Of a row, before its first step."""
        source = self.models.source_generator
        seed = self.params.night.seed if row.seed is None else row.seed
        return Adaptation(source, copy.deepcopy(source), self.models.guide, pair_of(row), config, seed)

    def config(self, row: Row, **overrides: object) -> AdaptConfig:
        """A row's recipe with overrides."""
        section = self.params.recipe(row.recipe) if row.recipe else self.params.methods[row.method]
        return AdaptConfig.model_validate({**section.model_dump(), **overrides})


@dataclass
class Run:
    """One domain, trained once."""

    domain: str
    figures: dict[str, dict[int, float]] = field(default_factory=dict)
    """Name -> by step; the pixels' only where the true pictures are known."""
    choice: Choice | None = None
    trained: int = 0
    training_seconds: float = 0.0
    """Of the processor, a step."""
    probing_seconds: float = 0.0
    """Of the processor, a probe."""


def main() -> None:
    """Train, look and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", default="", help="separated by commas (default: all)")
    parser.add_argument("--steps", type=int, default=300, help="of every run (default 300)")
    parser.add_argument("--samples", type=int, default=200, help="behind each distance (default 200)")
    parser.add_argument("--cosine", default="", help="counts that are trained with a falling rate, too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    world = World.load(args.samples)
    rows = load_prompts(Path(world.params.night.prompts), world.params)
    rows = [
        row for row in rows if row.method == "adapt" and (not args.domains or row.domain in args.domains.split(","))
    ]
    runs = []
    for row in rows:
        runs.append(watch(world, row, args.steps))
        print(f"{tables(runs)}\n", flush=True)  # what is there stays there
    for count in (int(count) for count in args.cosine.split(",") if count):
        lefts = {row.domain: falling(world, row, count)[LEFT] for row in rows}
        cells = ", ".join(f"{domain} {left:.3f}" for domain, left in lefts.items())
        print(f"{count} steps with a falling rate: mean {statistics.fmean(lefts.values()):.3f} ({cells})")


def watch(world: World, row: Row, steps: int) -> Run:
    """Train a row to the end, whatever the judge says, and note what it would have said."""
    config = world.config(row, **AUTO, iterations=steps)
    adaptation = world.adaptation(row, config)
    chooser = EarlyStopping.of(adaptation, world.models, pair_of(row))
    measure = against_the_truth(world, row)
    run = Run(row.domain)
    since = time.process_time()
    for step in adaptation:
        done = step.index + 1
        if done % config.probe_every and done != steps:
            continue
        run.training_seconds += (time.process_time() - since) / steps
        since = time.process_time()
        chooser.after(done)
        run.probing_seconds = time.process_time() - since
        with adaptation.parameters.averaged():
            for name, value in measure(adaptation.target).items():
                run.figures.setdefault(name, {})[done] = value
        if run.choice is None:
            choice = chooser.choice
            run.choice, run.trained = (choice, done) if choice.stop else (None, 0)
            if choice.stop:
                print(f"{row.domain}: {choice.why}", flush=True)
        since = time.process_time()
    return run


def falling(world: World, row: Row, count: int) -> dict[str, float]:
    """The figures after a fixed count with a cosine decay over it."""
    adaptation = world.adaptation(row, world.config(row, **FIXED, iterations=count))
    for _ in adaptation:
        pass
    return against_the_truth(world, row)(adaptation.target)


def pair_of(row: Row) -> PromptPair:
    """Its prompts."""
    return PromptPair(row.source, row.target)


def against_the_truth(world: World, row: Row) -> Callable[[Domain], dict[str, float]]:
    """The figures as a function of a domain."""
    assert row.reference_images is not None
    judge = Judge(clip=world.models.clips.judge, batch_size=world.params.judge.batch_size)
    true = reference_features(row.reference_images, judge, world.models.source.resolution)
    whole = frechet_distance(world.unadapted.emb, true.emb)
    truth = truths_of("avatars").get(row.domain)
    source_u8 = world.pictures(world.models.source)
    true_u8 = None if truth is None else truth(source_u8)

    def measure(domain: Domain) -> dict[str, float]:
        left = {LEFT: frechet_distance(world.truth.see(domain).emb, true.emb) / whole}
        if true_u8 is None:
            return left
        return left | pixel_figures(source_u8, world.pictures(domain), true_u8).means()

    return measure


def tables(runs: list[Run]) -> str:
    """A table for each figure, over the runs that have it."""
    step = statistics.fmean(run.training_seconds for run in runs)
    probe = statistics.fmean(run.probing_seconds for run in runs)
    names = dict.fromkeys(name for run in runs for name in run.figures)
    parts = [table([run for run in runs if name in run.figures], name) for name in names]
    return "\n\n".join([*parts, f"A step takes {step:.3f} s of the processor, a probe {probe:.3f} s."])


def table(runs: list[Run], name: str) -> str:
    """One figure at fixed counts and at the choice, in Markdown."""
    counts = list(runs[0].figures[name])
    lines = [f"| {name.replace('_', ' ')} | " + " | ".join(map(str, counts)) + " | chosen step | there | trained |"]
    lines.append("|---" * (len(counts) + 4) + "|")
    for run in runs:
        assert run.choice is not None
        cells = " | ".join(f"{value:.3f}" for value in run.figures[name].values())
        kept = run.choice.step
        lines.append(f"| {run.domain} | {cells} | {kept} | {run.figures[name][kept]:.3f} | {run.trained} |")
    means = " | ".join(f"{statistics.fmean(run.figures[name][count] for run in runs):.3f}" for count in counts)
    chosen = statistics.fmean(run.figures[name][run.choice.step] for run in runs if run.choice)
    trained = statistics.fmean(run.trained for run in runs)
    lines.append(f"| **mean** | {means} | | {chosen:.3f} | {trained:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
