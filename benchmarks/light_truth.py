"""Kilobyte domains beside full weights on the bundled avatars: paired truth, the judge, variety, seconds and bytes.

    python benchmarks/light_truth.py --seeds 0 1 2                   # nine domains that a filter defines
    python benchmarks/light_truth.py sepia neon --steps 80 --sheet LIGHT.png

Every parametrisation trains for the same steps, at the rate of its recipe. The sparse forms are the style offset
without four fifths of its numbers, given up in the end (`sparsity: 0.8`) or half-way (`sparse_from: 0.5`). Figures are
of latents that nothing was trained on. A line a run as they come, and in the end mean and standard deviation over
seeds, and over all runs.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from truth import BATCH, SHOWN, Truth, compare, truths_of

from nada.checkpoints import read_any, save_delta, save_light
from nada.checkpoints.base_model import Parent
from nada.clip.goal import PromptPair
from nada.clip.loading import load_clip, load_guide
from nada.generators.light.generator import LightGenerator
from nada.generators.registry import Network
from nada.images import grid, save_png
from nada.judge import Judge, SetFeatures, retrieve, score_domain
from nada.judge.samples import fixed_latents, render
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.parametrisation import begin_target, sparse
from tasks.config.model import Params
from tasks.config.params import load_params
from tasks.library.sample import labelled

SOURCE_TEXT = "cartoon portrait"
SPARSITY = 0.8
FIGURES = {
    "paired error": 2, "structure": 2, "found, %": 0, "variety kept, %": 0, "loss": 2, "processor, s": 0, "kB": 0,
}  # fmt: skip
"""Columns -> decimals that are shown."""


class Bench:
    """What all runs share."""

    def __init__(self, params: Params, num: int) -> None:
        self.params = params
        self.source: Network = read_any(Path(params.generator.weights))
        self.guide = load_guide(params.guide, "cpu")
        guide, config = params.guide, params.judge
        clip = load_clip(config.model, guide.config_dir, guide.antialias, "cpu")
        self.judge = Judge(clip=clip, batch_size=config.batch_size, device="cpu")
        self.ws = fixed_latents(self.source, num, params.samples.truncation_psi)
        self.pictures = list(render(self.source, self.ws, BATCH))
        self.features: SetFeatures = self.judge.features(torch.cat(self.pictures))

    def train(self, target: str, config: AdaptConfig, seed: int) -> tuple[Network | LightGenerator, float, float]:
        """A trained generator, the mean loss of its last ten steps, and seconds of the processor."""
        trained, begun = begin_target(self.source, config), time.process_time()  # others may use the machine
        steps = list(Adaptation(self.source, trained, self.guide, PromptPair(SOURCE_TEXT, target), config, seed))
        loss = float(torch.stack([step.loss for step in steps[-10:]]).mean())
        return trained, loss, time.process_time() - begun

    def figures(self, generator: Network | LightGenerator, target: str, truth: Truth) -> tuple[list[float], Tensor]:
        """The first four of `FIGURES`, and the first pictures."""
        beside = compare(self.pictures, generator, self.ws, truth)
        paired = beside.figures.means()
        made = self.judge.features(torch.cat(list(render(generator, self.ws, BATCH))))
        pair = PromptPair(SOURCE_TEXT, target)
        score = retrieve(self.judge.clip, pair, made.emb, TARGETS).score
        found = 0.0 if score is None else score.value
        variety = score_domain(self.judge, pair.source, pair.target, self.features, made, None)
        kept = variety["structure_ratio"].value
        return [paired["paired_error"], paired["structural_similarity"], 100 * found, 100 * kept], beside.adapted

    def kilobytes(self, generator: Network | LightGenerator) -> float:
        """Of its file, as a night stores it."""
        weights = self.params.generator.weights
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "generator.safetensors"
            if isinstance(generator, LightGenerator):
                save_light(path, generator, Parent.of(Path(weights), "generator"))
            else:
                save_delta(path, generator, Path(weights), "generator")
            return path.stat().st_size / 1e3


TARGETS = [
    "pencil sketch", "black and white portrait", "sepia portrait", "red portrait", "photo negative", "neon lights",
    "robot", "pixel art", "ink drawing",
]  # fmt: skip
"""The prompts of the bundled night."""
TRAINED: dict[str, dict[str, Any]] = {
    "style-offset": {"parameters": "style-offset"},
    "sparse from half": {"parameters": "style-offset", "sparsity": SPARSITY, "sparse_from": 0.5},
    "modulation": {"parameters": "modulation"},
    "full": {},
}


def runs(
    bench: Bench, target: str, learns: Sequence[str], steps: int, seed: int, rate: float
) -> Iterator[tuple[str, Any, list[float]]]:
    """Generators of one domain, with what they are called, and the last three of `FIGURES`."""
    adapt = bench.params.methods["adapt"].model_dump() | {"iterations": steps, "stop": "fixed"}
    for name in learns:
        options = TRAINED[name]
        config = AdaptConfig.model_validate(adapt | options | ({"learning_rate": rate} if options else {}))
        made, *cost = bench.train(target, config, seed)
        yield name, made, [*cost, bench.kilobytes(made)]
        if name == "style-offset" and isinstance(made, LightGenerator):
            fewer = sparse(dict(made.moves.offset), 0.0, SPARSITY)
            few = LightGenerator(made.base, made.moves.with_("offset", fewer))
            yield "sparse", few, [*cost, bench.kilobytes(few)]


def cells(runs_of_one: Sequence[Sequence[float]]) -> str:
    """Mean and standard deviation of each figure over some runs; one run as it is."""
    shown = []
    for values, decimals in zip(zip(*runs_of_one, strict=True), FIGURES.values(), strict=True):
        spread = f" ±{statistics.stdev(values):.{decimals}f}" if len(values) > 1 else ""
        shown.append(f"{statistics.fmean(values):.{decimals}f}{spread}")
    return " | ".join(shown)


def summary(figures: dict[tuple[str, str], list[list[float]]]) -> Iterator[str]:
    """A table: a line a domain and parametrisation, and a line a parametrisation over all of them."""
    yield f"| domain | learns | runs | {' | '.join(FIGURES)} |"
    yield "|---|---|" + "---:|" * (1 + len(FIGURES))
    whole: dict[tuple[str, str], list[list[float]]] = {}
    for (_, name), found in figures.items():
        whole.setdefault(("**all**", name), []).extend(found)
    for (domain, name), found in [*figures.items(), *whole.items()]:
        yield f"| {domain} | {name} | {len(found)} | {cells(found)} |"


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domains", nargs="*", help="default: all that a filter defines and the night has")
    parser.add_argument("--learns", nargs="+", choices=TRAINED, default=list(TRAINED))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rate", type=float, default=0.06, help="of the light parametrisations (default 0.06)")
    parser.add_argument("--num", type=int, default=96, help="pictures that are compared (default 96)")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--sheet", type=Path, help="a PNG of the source, every run of the first seed and the truth")
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench, truths = Bench(load_params(args.params), args.num), truths_of("avatars")
    named = importlib.import_module("domains")  # of the world's `build` folder, which `truths_of` put on the path
    texts = {domain.slug: domain.target for domain in named.DOMAINS if domain.slug in truths}
    print(f"| domain | learns | seed | {' | '.join(FIGURES)} |\n|---|---|---:|" + "---:|" * len(FIGURES), flush=True)
    found: dict[tuple[str, str], list[list[float]]] = {}
    strips: dict[str, Tensor] = {"source": torch.cat(bench.pictures)[:SHOWN]}
    for seed in args.seeds:
        for domain in args.domains or [slug for slug, text in texts.items() if text in TARGETS]:
            for name, generator, cost in runs(bench, texts[domain], args.learns, args.steps, seed, args.rate):
                figures, shown = bench.figures(generator, texts[domain], truths[domain])
                found.setdefault((domain, name), []).append([*figures, *cost])
                print(f"| {domain} | {name} | {seed} | {cells([[*figures, *cost]])} |", flush=True)
                strips |= {f"{domain}, {name}": shown} if seed == args.seeds[0] else {}
            if seed == args.seeds[0]:
                strips[f"{domain}, true"] = truths[domain](torch.cat(bench.pictures)[:SHOWN])
                if args.sheet:
                    save_png(labelled(list(strips), [grid(rows, SHOWN) for rows in strips.values()]), args.sheet)
    print("", *summary(found), sep="\n")


if __name__ == "__main__":
    main()
