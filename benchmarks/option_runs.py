"""Runs of bundled rows with one option each, kept in a CSV: what is finished is not run again, and counts once.

What `collapse.py` and `estimator.py` share: each brings its options, what is measured of a run, and in which order.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

import torch
from choose import World

from nada.judge import Judge, SetFeatures, frechet_distance
from tasks.caches.feature_cache import reference_features
from tasks.config.prompts import load_prompts
from tasks.config.row import Row

SHOWN = 8  # pictures on a sheet


@dataclass(frozen=True)
class Run:
    """A line of the CSV; its figures follow."""

    domain: str
    option: str
    seed: int
    steps: int

    @property
    def name(self) -> tuple[str, str, int, int]:
        """What is run."""
        return self.domain, self.option, self.seed, self.steps


RunT = TypeVar("RunT", bound=Run)


@dataclass(frozen=True, kw_only=True)
class OptionRuns(Generic[RunT]):
    """Rows x options x seeds, and the table that comes of them."""

    description: str
    """Of the script."""
    out: str
    """The CSV by default; sheets lie beside it, in `<out>.sheets`."""
    steps: int
    """Of every run by default."""
    options: Mapping[str, dict[str, Any]]
    """Name -> what it adds to a row's recipe."""
    run: type[RunT]
    in_order: Callable[[World, Mapping[str, Row], argparse.Namespace], Iterator[tuple[str, str, int]]]
    """Domain, option and seed of each run that is wanted."""
    step_seconds: Callable[[str], float]
    """Of one core, with an option, for the plan."""
    measured: Callable[[World, Row, str, int, int, Path], RunT]
    """Trains a row with an option, a seed and so many steps, looks at it, and draws its sheet into a folder."""

    def main(self) -> None:
        """Run what is missing, and print the table."""
        args = self._arguments()
        torch.set_num_threads(1)
        done = self.read(args.out)
        if args.table:
            print("\n".join(self.table(done)))
            return
        world = World.load(args.samples)
        rows = {row.domain: row for row in load_prompts(Path(world.params.night.prompts), world.params)}
        wanted = [(*run, args.steps) for run in self.in_order(world, rows, args)]
        missing = [name for name in wanted if name not in {run.name for run in done}]
        minutes = sum((args.steps + 30) * self.step_seconds(option) for _, option, _, _ in missing) / 60
        print(
            f"{len(missing)} of {len(wanted)} runs of {args.steps} steps to do, about {minutes:.0f} minutes of one core"
        )
        if args.plan:
            return
        for domain, option, seed, steps in missing:
            run = self.measured(world, rows[domain], option, seed, steps, args.out.with_suffix(".sheets"))
            append(args.out, run)
            print(run, flush=True)
        print("\n".join(self.table(self.read(args.out))))

    def _arguments(self) -> argparse.Namespace:
        parser = argparse.ArgumentParser(
            description=self.description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        of_options = f"of {', '.join(self.options)} (default: all)"
        parser.add_argument("--out", type=Path, default=Path(self.out), help=f"finished runs (default {self.out})")
        parser.add_argument(
            "--domains", type=_names, default=[], help="separated by commas (default: all of prompts.csv)"
        )
        parser.add_argument("--options", type=_names, default=list(self.options), help=of_options)
        parser.add_argument("--seeds", type=_names, default=["0", "1", "2"], help="default 0,1,2")
        parser.add_argument("--steps", type=int, default=self.steps, help=f"of every run (default {self.steps})")
        parser.add_argument("--samples", type=int, default=200, help="behind each figure (default 200)")
        parser.add_argument("--plan", action="store_true", help="run nothing, say what there is to do")
        parser.add_argument("--table", action="store_true", help="run nothing, print what is there")
        args = parser.parse_args()
        if unknown := [option for option in args.options if option not in self.options]:
            parser.error(f"no option {', '.join(unknown)}; there are {', '.join(self.options)}")
        args.seeds = list(map(int, args.seeds))
        return args

    def read(self, path: Path) -> list[RunT]:
        """The runs of a CSV; none where it is not there yet."""
        if not path.exists():
            return []
        kinds = get_type_hints(self.run)
        with path.open(newline="", encoding="utf-8") as file:
            return [
                self.run(**{name: _value(kinds[name], text) for name, text in line.items()})
                for line in csv.DictReader(file)
            ]

    def table(self, runs: Sequence[RunT]) -> Iterator[str]:
        """Markdown: a line an option; each figure the mean over the domains that have it, and its spread over seeds."""
        figures = [field.name for field in fields(self.run)[len(fields(Run)) :]]
        yield "| option | runs | " + " | ".join(figures) + " |"
        yield "|---" + "|---:" * (1 + len(figures)) + "|"
        for option in dict.fromkeys(run.option for run in runs):
            ours = [run for run in runs if run.option == option]
            yield f"| {option} | {len(ours)} | " + " | ".join(over_seeds(ours, name) for name in figures) + " |"


def append(path: Path, run: Run) -> None:
    """One line more."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(run)], lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(run))


def over_seeds(runs: Sequence[Run], name: str) -> str:
    """A figure's mean over domains, seed by seed: mean and standard deviation of those."""
    by_seed: dict[int, list[float]] = {}
    for run in runs:
        if (value := getattr(run, name)) is not None:
            by_seed.setdefault(run.seed, []).append(value)
    means = [statistics.fmean(values) for values in by_seed.values()]
    if not means:
        return ""
    return f"{statistics.fmean(means):.3f}" + (f" ±{statistics.stdev(means):.3f}" if len(means) > 1 else "")


def merged(section: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """A section with an option's keys, those of a part of it too.

    >>> merged({"iterations": 9, "selection": {"k": "all", "every": 1}}, {"selection": {"k": 3}})
    {'iterations': 9, 'selection': {'k': 3, 'every': 1}}
    """
    parts = {key: section[key] | value if isinstance(value, dict) else value for key, value in overrides.items()}
    return section | parts


def true_features(world: World, path: str) -> SetFeatures:
    """Of a row's true images, embedded once."""
    judge = Judge(clip=world.models.clips.judge, batch_size=world.params.judge.batch_size)
    resolution = world.models.source.resolution
    found: SetFeatures = world.models.keep(("true", path), lambda: reference_features(path, judge, resolution))
    return found


def distance(one: SetFeatures, two: SetFeatures) -> float:
    """Frechet's, in the judge's space."""
    return frechet_distance(one.emb, two.emb)


def sheet_name(domain: str, option: str, seed: int) -> str:
    """Of a run's pictures."""
    return f"{domain}-{option.replace(' ', '-')}-{seed}.png"


def _value(kind: Any, text: str) -> Any:
    if kind in (str, int):
        return kind(text)
    return float(text) if text else None


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]
