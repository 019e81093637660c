"""`nada plan --measure`: speeds of the recipes that no earlier row tells of, kept for later plans and nights."""

from __future__ import annotations

from flows.cli.display import Display
from tasks.plan.estimate import MeasuredRow, keep_measured, recipe_of
from tasks.plan.plan import Plan, PlannedRow
from tasks.row.measure import MEASURE


def measure(plan: Plan, display: Display) -> None:
    """Run a few steps of one row of each recipe whose cost is not measured, one after the other.

    Raises:
        InputError, WorkerError: a row cannot be trained here.
        OutputError: the speeds cannot be kept.
    """
    unknown: dict[str, PlannedRow] = {}
    for planned in plan.to_train:
        if planned.cost.basis != "measured":
            unknown.setdefault(recipe_of(planned.adapt), planned)
    if not unknown:
        return
    display.say(f"Measuring {', '.join(sorted({planned.row.recipe for planned in unknown.values()}))}", "dim")
    worker = plan.workers[0]
    with plan.open_pool(1) as pool:
        for recipe, planned in unknown.items():
            per_step, judge = pool.run(plan.job(planned), function=MEASURE)
            sample = MeasuredRow(
                device=worker.device.split(":")[0],
                threads=worker.threads,
                generator=plan.provenance["sha256 of generator"],
                recipe=recipe,
                batch_size=planned.adapt.batch_size,
                seconds_per_step=per_step,
                judge_seconds=judge,
            )
            keep_measured([sample])
