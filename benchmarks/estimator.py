"""What the options that make a step cheaper cost in quality, on the bundled domains: one table, each beside exact.

    python benchmarks/estimator.py --plan                       # what there is to do, and about how long it takes
    python benchmarks/estimator.py --out estimator.csv          # every domain, option and seed; an hour of one core
    python benchmarks/estimator.py --out estimator.csv --domains neon --options "exact,bank 64" --seeds 0 --steps 60
    python benchmarks/estimator.py --out estimator.csv --table  # of what is there

Every run is a row of prompts.csv with its recipe, a fixed count of steps and one option; options of layer selection
are run where convolutions learn. A finished run is a line of the CSV, so the same command goes on where it was stopped;
beside it lies a sheet a run in `<out>.sheets`: the source on top, the row, and its true pictures. Measured on latents
that train nothing:

    left      Frechet distance to the true images in the judge's space, as a share of the source's (0: perfect)
    paired    error against the filter of the source's own picture, as a share of the source's (0: the truth itself)
    edges     correlation of the strength of edges with the true picture's (1: the same edges)
    variety   structural diversity, as a share of the source's (1: as varied)
    seconds   of the processor, the whole row's training
"""

from __future__ import annotations

import argparse
import copy
import csv
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

import torch
from choose import World, pair_of
from collapse import distance, true_features
from torch import Tensor
from truth import truths_of

from nada.clip.guide import Guide
from nada.config import ViewsConfig
from nada.images import grid, save_png
from nada.judge.early_stopping import look
from nada.judge.paired import pixel_figures
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.loop import Adaptation
from tasks.config.prompts import load_prompts
from tasks.config.row import Row

PLAIN = "no views"
"""The guide sees pictures as they are: an option of the guide, and not of a row."""
OPTIONS: dict[str, dict[str, Any]] = {
    "exact": {},
    "bank 64": {"latent_bank": 64},
    "bank 128": {"latent_bank": 128},
    "k auto": {"selection": {"k": "auto"}},
    "k auto by batch": {"selection": {"k": "auto", "latents": "batch"}},
    "k auto every 10": {"selection": {"k": "auto", "every": 10}},
    "bfloat16": {"precision": "bfloat16"},
    PLAIN: {},
}
"""Name -> what it adds to a row's recipe."""
SECONDS = {"k auto": 0.4, "k auto by batch": 0.3}  # of one core, a step of the bundled world, for the plan
FIGURES = ("left", "paired", "edges", "variety", "seconds")
SHOWN = 8  # pictures on a sheet


@dataclass(frozen=True)
class Run:
    """A line of the CSV."""

    domain: str
    option: str
    seed: int
    steps: int
    left: float
    paired: float
    edges: float
    variety: float
    seconds: float

    @property
    def name(self) -> tuple[str, str, int, int]:
        """What is run."""
        return self.domain, self.option, self.seed, self.steps


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("estimator.csv"), help="finished runs (default estimator.csv)")
    parser.add_argument("--domains", type=_names, default=[], help="separated by commas (default: all of prompts.csv)")
    parser.add_argument("--options", type=_names, default=list(OPTIONS), help=f"of {', '.join(OPTIONS)} (default: all)")
    parser.add_argument("--seeds", type=_names, default=["0", "1", "2"], help="default 0,1,2")
    parser.add_argument("--steps", type=int, default=100, help="of every run (default 100)")
    parser.add_argument("--samples", type=int, default=200, help="behind each figure (default 200)")
    parser.add_argument("--plan", action="store_true", help="run nothing, say what there is to do")
    parser.add_argument("--table", action="store_true", help="run nothing, print what is there")
    args = parser.parse_args()
    unknown = [option for option in args.options if option not in OPTIONS]
    if unknown:
        parser.error(f"no option {', '.join(unknown)}; there are {', '.join(OPTIONS)}")
    torch.set_num_threads(1)
    done = read(args.out)
    if args.table:
        print("\n".join(table(done)))
        return
    world = World.load(args.samples)
    rows = {row.domain: row for row in load_prompts(Path(world.params.night.prompts), world.params)}
    wanted = [
        (domain, option, int(seed), args.steps)
        for option, seed, domain in product(args.options, args.seeds, args.domains or rows)
        if "selection" not in OPTIONS[option] or world.config(rows[domain]).train != "rgb"
    ]
    missing = [name for name in wanted if name not in {run.name for run in done}]
    minutes = sum((args.steps + 30) * SECONDS.get(option, 0.2) for _, option, _, _ in missing) / 60
    print(f"{len(missing)} of {len(wanted)} runs of {args.steps} steps to do, about {minutes:.0f} minutes of one core")
    if args.plan:
        return
    for domain, option, seed, steps in missing:
        run = measured(world, rows[domain], option, seed, steps, args.out.with_suffix(".sheets"))
        append(args.out, run)
        print(run, flush=True)
    print("\n".join(table(read(args.out))))


def measured(world: World, row: Row, option: str, seed: int, steps: int, sheets: Path) -> Run:
    """Train one row with one option, and look at it."""
    section = world.config(row, stop="fixed", iterations=steps).model_dump()
    config = AdaptConfig.model_validate(merged(section, OPTIONS[option]))
    source, guide = world.models.source_generator, world.models.guide
    if option == PLAIN:
        guide = Guide(guide.models, guide.weights, ViewsConfig())
    since = time.process_time()
    adaptation = Adaptation(source, copy.deepcopy(source), guide, pair_of(row), config, seed)
    for _ in adaptation:
        pass
    seconds = time.process_time() - since
    shown = world.truth.see(adaptation.target)
    assert row.reference_images is not None
    true = true_features(world, row.reference_images)
    before: Tensor = world.models.keep("pictures of the source", lambda: world.pictures(world.models.source))
    after = world.pictures(adaptation.target)
    true_u8 = truths_of("avatars")[row.domain](before)
    pixels = pixel_figures(before, after, true_u8).means()
    sheets.mkdir(exist_ok=True)
    sheet = f"{row.domain}-{option.replace(' ', '-')}-{seed}.png"
    save_png(grid(torch.cat([imgs[:SHOWN] for imgs in (before, after, true_u8)]), SHOWN), sheets / sheet)
    return Run(
        row.domain,
        option,
        seed,
        steps,
        left=distance(shown, true) / distance(world.unadapted, true),
        paired=pixels["paired_error"],
        edges=pixels["edge_correlation"],
        variety=look(world.truth.clip, pair_of(row), world.unadapted, shown, steps).diversity,
        seconds=seconds,
    )


def merged(section: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """A section with an option's keys, those of a part of it too.

    >>> merged({"iterations": 9, "selection": {"k": "all", "every": 1}}, {"selection": {"k": 3}})
    {'iterations': 9, 'selection': {'k': 3, 'every': 1}}
    """
    parts = {key: section[key] | value if isinstance(value, dict) else value for key, value in overrides.items()}
    return section | parts


def table(runs: Sequence[Run]) -> Iterator[str]:
    """Markdown: a line an option beside exact on the same domains and seeds; spreads are those over the seeds."""
    yield "| option | runs | " + " | ".join(FIGURES) + " |"
    yield "|---" + "|---:" * (1 + len(FIGURES)) + "|"
    for option in dict.fromkeys(run.option for run in runs):
        ours = [run for run in runs if run.option == option]
        yield f"| {option} | {len(ours)} | " + " | ".join(over_seeds(ours, name) for name in FIGURES) + " |"


def over_seeds(runs: Sequence[Run], name: str) -> str:
    """A figure's mean over domains, seed by seed: mean and standard deviation of those."""
    by_seed: dict[int, list[float]] = {}
    for run in runs:
        by_seed.setdefault(run.seed, []).append(getattr(run, name))
    means = [statistics.fmean(values) for values in by_seed.values()]
    spread = f" ±{statistics.stdev(means):.3f}" if len(means) > 1 else ""
    return f"{statistics.fmean(means):.3f}{spread}"


def read(path: Path) -> list[Run]:
    """The runs of a CSV; none where it is not there yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [_run(line) for line in csv.DictReader(file)]


def append(path: Path, run: Run) -> None:
    """One line more."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Run)], lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(run))


def _run(line: dict[str, str]) -> Run:
    figures = (float(line[name]) for name in FIGURES)
    return Run(line["domain"], line["option"], int(line["seed"]), int(line["steps"]), *figures)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    main()
