"""How soon a row starts training, on a cold worker and a warm one: the first rows of prompts.csv, twice, one step each.

    python benchmarks/warm.py        # in the project's folder; publishes nothing there

Seconds from handing the row to its worker to the end of its first step. The second time its true pictures are known.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tasks.plan.planning import make_plan
from tasks.workers.local import WorkerPool
from tasks.workers.news import Progress, RowEnded
from tasks.workers.pool import MAKE_ROWS

ROWS = 4
ROOT = Path.cwd()


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("params.yaml", "prompts.csv", "examples"):
            (Path(folder) / name).symlink_to(ROOT / name)
        os.chdir(folder)  # results go there
        plan = make_plan(Path("params.yaml"))
        with WorkerPool([plan.workers[0]]) as pool:
            rows = plan.to_train[:ROWS]
            for index, planned in enumerate([*rows, *rows]):
                short = replace(planned, config=planned.method_object.with_steps(planned.config, 1))
                told: dict[str, float] = {}
                started = time.monotonic()

                def heard(news: Progress | RowEnded, told: dict[str, float] = told) -> None:
                    if isinstance(news, Progress):
                        told.setdefault(news.phase, time.monotonic())

                pool.run(MAKE_ROWS, plan.group_job([short]), heard, timeout_seconds=plan.row_seconds)
                kind = "known pictures" if index >= ROWS else "warm worker" if index else "cold worker"
                print(f"  {kind}, {planned.domain:<20} first step after {told['make'] - started:6.2f} s", flush=True)


if __name__ == "__main__":
    main()
