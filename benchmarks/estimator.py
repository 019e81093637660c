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
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import option_runs
import torch
from choose import World, pair_of
from option_runs import SHOWN, OptionRuns, distance, merged, sheet_name, true_features
from torch import Tensor
from truth import truths_of

from nada.clip.guide import Guide
from nada.config import ViewsConfig
from nada.images import grid, save_png
from nada.judge.early_stopping import look
from nada.judge.paired import pixel_figures
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.loop import Adaptation
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


@dataclass(frozen=True)
class Run(option_runs.Run):
    """What came of one."""

    left: float
    paired: float
    edges: float
    variety: float
    seconds: float


def in_order(world: World, rows: Mapping[str, Row], args: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """One option after the other; those of layer selection where convolutions learn."""
    for option, seed, domain in product(args.options, args.seeds, args.domains or rows):
        if "selection" not in OPTIONS[option] or world.config(rows[domain]).train != "rgb":
            yield domain, option, seed


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
    sheet = sheet_name(row.domain, option, seed)
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


RUNS = OptionRuns(
    description=__doc__,
    out="estimator.csv",
    steps=100,
    options=OPTIONS,
    run=Run,
    in_order=in_order,
    step_seconds=lambda option: SECONDS.get(option, 0.2),
    measured=measured,
)

if __name__ == "__main__":
    RUNS.main()
