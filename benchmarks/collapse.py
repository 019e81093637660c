"""What each option against collapse is worth on the bundled domains: one table, each alone and the best together.

    python benchmarks/collapse.py --plan                      # what there is to do, and about how long it takes
    python benchmarks/collapse.py --out collapse.csv          # every domain, option and seed; hours on one core
    python benchmarks/collapse.py --out collapse.csv --domains neon,red --options none,angle --seeds 0 --steps 60
    python benchmarks/collapse.py --out collapse.csv --table  # of what is there

Every run is a row of prompts.csv with its recipe, a fixed count of steps and one option more. A finished run is a line
of the CSV, so the same command goes on where it was stopped. Beside it lies a sheet a run in `<out>.sheets`: the source
on top, the row below. Measured on latents that train nothing:

    left      Frechet distance to the true images in the judge's space, as a share of the source's (0: perfect)
    edit      directional similarity by the judge (1: every picture moved as the text says)
    paired    error against the filter of the source's own picture, as a share of the source's (0: the truth itself)
    variety   structural diversity, as a share of the source's (1: as varied; a true target has 0.7 to 1.3)
    seconds   of the processor, a step, with what the option computes ahead of the first one
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from choose import World, pair_of
from truth import truths_of

from nada.images import grid, save_png
from nada.judge import Judge, SetFeatures, frechet_distance
from nada.judge.early_stopping import look
from nada.judge.paired import pixel_figures
from tasks.caches.feature_cache import reference_features
from tasks.config.prompts import load_prompts
from tasks.config.row import Row

OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "in-domain angle": {"in_domain_angle_weight": 0.2},
    "moments": {"moments_weight": 0.5, "directional_weight": 0.0},
    "elastic": {"elastic_weight": 30.0},
    "feature": {"feature_weight": 0.03},
    "patches": {"patch_directional_weight": 0.5},
    "angle": {"angle_weight": 1.0},
    "shape": {"selection": {"layers": "shape"}},
    "texture": {"selection": {"layers": "texture"}},
    "together": {"in_domain_angle_weight": 0.2, "elastic_weight": 30.0},
}
"""Name -> what it adds to a row's recipe."""
SECONDS = 0.3  # of one core, a step of the bundled world with batch 4, for the plan
SHOWN = 8  # pictures on a sheet


@dataclass(frozen=True)
class Run:
    """A line of the CSV."""

    domain: str
    option: str
    seed: int
    steps: int
    left: float | None
    """None where the row has no true images."""
    edit: float
    paired: float | None
    """None where no filter defines the domain."""
    variety: float
    seconds: float

    @property
    def name(self) -> tuple[str, str, int, int]:
        """What is run."""
        return self.domain, self.option, self.seed, self.steps


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("collapse.csv"), help="finished runs (default collapse.csv)")
    parser.add_argument("--domains", type=_names, default=[], help="separated by commas (default: all of prompts.csv)")
    parser.add_argument("--options", type=_names, default=list(OPTIONS), help=f"of {', '.join(OPTIONS)} (default: all)")
    parser.add_argument("--seeds", type=_names, default=["0", "1", "2"], help="default 0,1,2")
    parser.add_argument("--steps", type=int, default=150, help="of every run (default 150)")
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
        for seed, domain, option in product(args.seeds, args.domains or rows, args.options)
    ]
    missing = [name for name in wanted if name not in {run.name for run in done}]
    minutes = len(missing) * (args.steps + 30) * SECONDS / 60
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
    overrides = {**OPTIONS[option]}
    if "selection" in overrides:
        overrides["selection"] = section["selection"] | {"k": "all"} | overrides["selection"]
    config = type(world.config(row)).model_validate(section | overrides)
    since = time.process_time()
    adaptation = world.adaptation(replace(row, seed=seed), config)
    for _ in adaptation:
        pass
    seconds = (time.process_time() - since) / steps
    shown = world.truth.see(adaptation.target)
    probe = look(world.truth.clip, pair_of(row), world.unadapted, shown, steps)
    true = None if row.reference_images is None else true_features(world, row.reference_images)
    left = None if true is None else distance(shown, true) / distance(world.unadapted, true)
    source, adapted = (world.pictures(domain) for domain in (world.models.source, adaptation.target))
    sheets.mkdir(exist_ok=True)
    sheet = f"{row.domain}-{option.replace(' ', '-')}-{seed}.png"
    save_png(grid(torch.cat([source[:SHOWN], adapted[:SHOWN]]), SHOWN), sheets / sheet)
    truth = truths_of("avatars").get(row.domain)
    paired = None if truth is None else pixel_figures(source, adapted, truth(source)).means()["paired_error"]
    return Run(row.domain, option, seed, steps, left, probe.edit, paired, probe.diversity, seconds)


def true_features(world: World, path: str) -> SetFeatures:
    """Of a row's true images, embedded once."""
    judge = Judge(clip=world.models.clips.judge, batch_size=world.params.judge.batch_size)
    resolution = world.models.source.resolution
    found: SetFeatures = world.models.keep(("true", path), lambda: reference_features(path, judge, resolution))
    return found


def distance(one: SetFeatures, two: SetFeatures) -> float:
    """Frechet's, in the judge's space."""
    return frechet_distance(one.emb, two.emb)


def table(runs: Sequence[Run]) -> Iterator[str]:
    """Markdown: a line an option; each figure the mean over the domains that have it, and its spread over the seeds."""
    figures = ("left", "edit", "paired", "variety", "seconds")
    yield "| option | runs | " + " | ".join(figures) + " |"
    yield "|---" + "|---:" * (1 + len(figures)) + "|"
    for option in dict.fromkeys(run.option for run in runs):
        ours = [run for run in runs if run.option == option]
        yield f"| {option} | {len(ours)} | " + " | ".join(_over_seeds(ours, name) for name in figures) + " |"


def _over_seeds(runs: Sequence[Run], name: str) -> str:
    """A figure's mean over domains, seed by seed: mean and standard deviation of those."""
    by_seed: dict[int, list[float]] = {}
    for run in runs:
        if (value := getattr(run, name)) is not None:
            by_seed.setdefault(run.seed, []).append(value)
    means = [statistics.fmean(values) for values in by_seed.values()]
    if not means:
        return ""
    return f"{statistics.fmean(means):.3f}" + (f" ±{statistics.stdev(means):.3f}" if len(means) > 1 else "")


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
    def number(name: str) -> float | None:
        return float(line[name]) if line[name] else None

    return Run(
        line["domain"],
        line["option"],
        int(line["seed"]),
        int(line["steps"]),
        number("left"),
        float(line["edit"]),
        number("paired"),
        float(line["variety"]),
        float(line["seconds"]),
    )


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    main()
