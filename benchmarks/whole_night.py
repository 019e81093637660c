"""A whole night by the real command, beside a plain loop in a process a domain: domains an hour, all told.

    python benchmarks/whole_night.py                     # 20 rows of the bundled world, 300 steps each: an hour
    python benchmarks/whole_night.py --rows 8 --steps 100 --plain-rows 4 --cases full light
    python benchmarks/whole_night.py --steps 2 --plain-rows 2 --cases full     # what a night costs beside its steps

The night plans, starts Prefect and its workers, trains, judges 400 pictures a row, writes the report and records. The
plain loop is that of `baseline.py`: each domain in a process of its own, as many at once as there are workers, no
judging and nothing kept. It runs for fewer domains, since all are alike; once with all layers, and where layers are
chosen once with them. Ratios are of this run.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from baseline import in_process
from ruamel.yaml import YAML

from tasks.bench.case import Case
from tasks.plan.devices import cores

ROOT = Path(__file__).parents[1]
LIGHT = {"parameters": "modulation", "learning_rate": 0.06}
CASES: dict[str, dict[str, Any]] = {
    "full": {},
    "light": LIGHT,
    "light, together": {**LIGHT, "together": 8},
    "chosen layers": {"selection": {"k": "auto"}},
    "chosen every 10 steps": {"selection": {"k": "auto", "every": 10}},
}
TARGETS = (
    "pencil sketch", "neon lights", "sepia portrait", "red portrait", "black and white portrait", "ink drawing",
    "negative", "pixel art", "robot", "blue portrait", "green portrait", "watercolor painting", "oil painting",
    "zombie", "statue", "mosaic", "clay figure", "comic book", "cubist painting", "night scene",
)  # fmt: skip


class Cost(NamedTuple):
    """What some domains took."""

    seconds: float
    cpu_seconds: float
    """Of the processor, all processes together."""

    def per_hour(self, domains: int) -> tuple[float, float]:
        """Domains in an hour of the clock, and in an hour of the processor."""
        return 3600 * domains / self.seconds, 3600 * domains / self.cpu_seconds


def main() -> None:
    """Run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20, help=f"domains of a night, {len(TARGETS)} at most")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--plain-rows", type=int, default=4, help="domains of the plain loop (default 4)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    args = parser.parse_args()
    print("| | domains | clock, s | processor, s | domains/h | times | by the processor, times |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    plain: dict[str, tuple[float, float]] = {}
    for name in args.cases:
        if (like := "adapt, k auto" if "selection" in CASES[name] else "adapt, full") not in plain:
            cost = measured(partial(plain_rows, args.plain_rows, args.steps, like))
            plain[like] = cost.per_hour(args.plain_rows)
            print(line(f"plain loop, `{like}`", args.plain_rows, cost, *plain[like]), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            write_project(Path(folder), args.rows, args.steps, CASES[name])
            cost = measured(partial(night, Path(folder)))
        print(line(name, args.rows, cost, *plain[like]), flush=True)


def line(name: str, domains: int, cost: Cost, by_clock: float, by_processor: float) -> str:
    """Of the table."""
    clock, processor = cost.per_hour(domains)
    figures = f"{cost.seconds:.0f} | {cost.cpu_seconds:.0f} | {clock:.0f}"
    return f"| {name} | {domains} | {figures} | {clock / by_clock:.2f} | {processor / by_processor:.2f} |"


def measured(run: Callable[[], None]) -> Cost:
    """What child processes took while it ran."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(time.monotonic() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def plain_rows(count: int, steps: int, like: str) -> None:
    """Domains in the plain loop, as many at once as there are cores; `like` one of `nada bench`'s cases."""
    case = Case(name=like, params=str(ROOT / "params.yaml"), steps=steps - 1)  # and one to warm up
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda _: in_process(case), range(count)))


def write_project(folder: Path, rows: int, steps: int, changes: dict[str, Any]) -> None:
    """The bundled world in a project of its own."""
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["night"] |= {"prompts": "prompts.csv", "recipe": "timed"}
    params["recipes"] = {"timed": {"stop": "fixed", "iterations": steps, **changes}}
    (folder / "params.yaml").write_text(json.dumps(params))
    (folder / "examples").symlink_to(ROOT / "examples")
    with (folder / "prompts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("domain", "source", "target"))
        writer.writerows((target.replace(" ", "-"), "cartoon portrait", target) for target in TARGETS[:rows])


def night(folder: Path) -> None:
    """The real command."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    path = os.pathsep.join(filter(None, (str(ROOT), *sys.path)))
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli.main", "run"],
        cwd=folder, env={**environment, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(
            f"the night ended with {done.returncode}: {json.dumps(done.stdout[-800:] + done.stderr[-800:])}"
        )


if __name__ == "__main__":
    main()
