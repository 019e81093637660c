"""`nada prepare`: what rows of a generator share is computed ahead of them, by all workers together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flows.cli.display import Display
from nada.atomic import writing
from tasks.config.project import HERE
from tasks.plan.devices import open_pool
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.plan.planning import make_plan
from tasks.row.prepare import PREPARE
from tasks.store import prepared


def prepare_all(params_path: Path, display: Display) -> None:
    """Compute what is missing for the rows of the CSV, whether they are finished or not.

    Raises:
        InputError: params, prompts, weights or reference pictures cannot be used, or a file cannot be written.
        WorkerError: it cannot be computed here.
    """
    plan = make_plan(params_path, here=True)
    with writing(HERE.prepared):
        HERE.prepared.mkdir(parents=True, exist_ok=True)  # DVC versions it, also without a row that needs it
    missing = missing_preparations(plan)
    if not missing:
        display.say("Nothing to prepare.")
        return
    with open_pool(plan.params.night, plan.workers) as pool, ThreadPoolExecutor(len(plan.workers)) as threads:

        def work(planned: PlannedRow) -> None:
            pool.run(PREPARE, plan.job(planned), display.progress, timeout_seconds=float("inf"), about=planned.domain)

        for planned in missing:
            display.say(f"Preparing what {planned.domain} and rows like it need", "dim")
            list(threads.map(work, [planned] * len(plan.workers)))


def missing_preparations(plan: Plan) -> list[PlannedRow]:
    """One row of each preparation that was not computed."""
    rows = {planned.prepared: planned for planned in reversed(plan.rows) if planned.prepared}
    return [planned for keys, planned in rows.items() if not all(map(prepared.is_there, keys))]
