"""What each option against collapse is worth on the bundled domains: one table, each alone and the best together.

    python benchmarks/collapse.py --plan                      # what there is to do, and about how long it takes
    python benchmarks/collapse.py --out collapse.csv          # every domain, option and seed; hours on one core
    python benchmarks/collapse.py --out collapse.csv --domains neon,red --options none,manifold --seeds 0 --steps 60
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
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import option_runs
import torch
from choose import World, pair_of
from option_runs import SHOWN, OptionRuns, distance, merged, sheet_name, true_features
from truth import truths_of

from nada.images import grid, save_png
from nada.judge.early_stopping import look
from nada.judge.paired import pixel_figures
from nada.methods.adapt.config import AdaptConfig
from tasks.config.row import Row

OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "in-domain angle": {"in_domain_angle_weight": 0.2},
    "moments": {"moments_weight": 0.5, "directional_weight": 0.0},
    "elastic": {"elastic_weight": 30.0},
    "feature": {"feature_weight": 0.03},
    "patches": {"patch_directional_weight": 0.5},
    "manifold": {"manifold_weight": 1.0},
    "shape": {"selection": {"k": "all", "layers": "shape"}},
    "texture": {"selection": {"k": "all", "layers": "texture"}},
    "together": {"in_domain_angle_weight": 0.2, "elastic_weight": 30.0},
}
"""Name -> what it adds to a row's recipe."""
SECONDS = 0.3  # of one core, a step of the bundled world with batch 4, for the plan


@dataclass(frozen=True)
class Run(option_runs.Run):
    """What came of one."""

    left: float | None
    """None where the row has no true images."""
    edit: float
    paired: float | None
    """None where no filter defines the domain."""
    variety: float
    seconds: float


def in_order(_: World, rows: Mapping[str, Row], args: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """All options of a row and seed together."""
    for seed, domain, option in product(args.seeds, args.domains or rows, args.options):
        yield domain, option, seed


def measured(world: World, row: Row, option: str, seed: int, steps: int, sheets: Path) -> Run:
    """Train one row with one option, and look at it."""
    section = world.config(row, stop="fixed", iterations=steps).model_dump()
    config = AdaptConfig.model_validate(merged(section, OPTIONS[option]))
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
    save_png(grid(torch.cat([source[:SHOWN], adapted[:SHOWN]]), SHOWN), sheets / sheet_name(row.domain, option, seed))
    truth = truths_of("avatars").get(row.domain)
    paired = None if truth is None else pixel_figures(source, adapted, truth(source)).means()["paired_error"]
    return Run(row.domain, option, seed, steps, left, probe.edit, paired, probe.diversity, seconds)


RUNS = OptionRuns(
    description=__doc__,
    out="collapse.csv",
    steps=150,
    options=OPTIONS,
    run=Run,
    in_order=in_order,
    step_seconds=lambda _: SECONDS,
    measured=measured,
)

if __name__ == "__main__":
    RUNS.main()
