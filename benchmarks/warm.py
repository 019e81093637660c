"""How soon a row starts training on a cold worker and on a warm one: the first rows of prompts.csv, two steps each.

    python benchmarks/warm.py        # in the project's folder; publishes nothing that is there already

Seconds from handing the row to its worker to the end of its first step.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from flows.plan import make_plan
from tasks.workers import Progress, WorkerPool

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
            for index, planned in enumerate(plan.to_train[:ROWS]):
                job = plan.job(planned)
                job = replace(job, adapt=job.adapt.model_copy(update={"iterations": 1}))
                told: dict[str, float] = {}
                started = time.monotonic()

                def heard(progress: Progress, told: dict[str, float] = told) -> None:
                    told.setdefault(progress.phase, time.monotonic())

                pool.run(job, heard)
                kind = "warm" if index else "cold"
                print(f"  {kind} worker, {planned.row.domain:<20} first step after {told['adapt'] - started:6.2f} s")


if __name__ == "__main__":
    main()
