"""`nada plan --measure`: speeds of the recipes that no earlier row tells of, kept for later plans and nights."""

from __future__ import annotations

from flows.cli.display import Display
from tasks.plan.devices import open_pool
from tasks.plan.estimate import MeasuredRow, keep_measured, recipe_of
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.row.measure import MEASURE


def measure(plan: Plan, display: Display) -> None:
    """Run a few steps of one row of each recipe whose cost is not measured, one after the other.

    Raises:
        InputError, WorkerError: a row cannot be made here.
        OutputError: the speeds cannot be kept.
    """
    unknown: dict[str, PlannedRow] = {}
    for planned in plan.to_train:
        has_steps = "iterations" in type(planned.config).model_fields
        if planned.cost.basis != "measured" and planned.row.on is None and has_steps:
            unknown.setdefault(recipe_of(planned.method_object, planned.config), planned)
    if not unknown:
        return
    names = sorted({planned.row.recipe or planned.row.method for planned in unknown.values()})
    display.say(f"Measuring {', '.join(names)}", "dim")
    worker = plan.workers[0]
    with open_pool(plan.params.night, plan.workers[:1]) as pool:
        for recipe, planned in unknown.items():
            per_step, judge = pool.run(MEASURE, plan.job(planned), timeout_seconds=plan.row_seconds)
            sample = MeasuredRow(
                device=worker.device.split(":")[0],
                threads=worker.threads,
                generator=planned.source.base_sha256,
                recipe=recipe,
                batch_size=planned.method_object.pictures_per_step(planned.config),
                seconds_per_step=per_step,
                judge_seconds=judge,
            )
            keep_measured([sample])
