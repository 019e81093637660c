"""Which rows are made in one pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from tasks.live.saved import Together, saved_rows
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.plan.queue import RowQueue

ROUNDING = 1 + 1e-9  # equal rows divide evenly, whatever the order in which their seconds are added up


def together(
    plan: Plan,
    domain: str,
    waiting: RowQueue,
    now: float,
    idle: int = 1,
    saved: Mapping[tuple[str, str], Together] | None = None,
) -> list[PlannedRow]:
    """A row that was taken, and those that wait and may ride along; they are taken too.

    Rows ride together where their method says so and allows as many, where they start from the same source, and for
    as long as their pass would end by the deadline, and takes no more than a worker's share of what waits, where
    several have nothing to do. Rows that left a state go on with those, and no others, whose states were taken at once.

    Args:
        plan: of the night.
        domain: the row that was taken.
        waiting: the others.
        now: seconds since the night began.
        idle: workers that have nothing to do, the one that takes this row among them.
        saved: what `saved_rows` said, for whoever asks for many passes; read now by default.
    """
    first = plan.by_domain[domain]
    rows, most = [first], 1 if first.checkpoint_of else first.method_object.num_together(first.config)
    if most == 1:
        return rows
    share = math.inf
    if idle > 1 and not first.prepared:  # what rows share that is prepared, one worker prepares
        share = ROUNDING * sum(map(waiting.seconds, [domain, *waiting.ready()])) / idle
    if saved is None:
        saved = saved_rows()
    state = saved.get((domain, first.keys.making))
    for name in waiting.ready():
        if len(rows) == most:
            break
        other = plan.by_domain[name]
        is_alike = other.state == first.state and may_ride_along(plan, first, other)
        if not is_alike or saved.get((name, other.keys.making)) != state:
            continue
        taken = [*(row.domain for row in rows), name]
        fits = sum(map(waiting.seconds, taken)) <= share and waiting.in_time(taken, now)
        if fits or state:
            rows.append(other)
    waiting.take_these([planned.domain for planned in rows[1:]])
    return sorted(rows, key=lambda planned: planned.row.line)  # so that the same rows are the same pass another time


def foreseen(plan: Plan) -> list[list[str]]:
    """The domains of each pass of several rows, if a night started now and its workers took passes in turns."""
    if all(planned.method_object.num_together(planned.config) == 1 for planned in plan.to_train):
        return []
    waiting, idle, passes = plan.waiting(datetime.now().astimezone()), len(plan.workers), []
    saved = saved_rows()
    while (domain := waiting.take(0.0)) is not None:
        if plan.by_domain[domain].state == "train":
            passes.append([planned.domain for planned in together(plan, domain, waiting, 0.0, idle, saved)])
        idle = max(1, idle - 1)
    return [domains for domains in passes if len(domains) > 1]


def may_ride_along(plan: Plan, first: PlannedRow, other: PlannedRow) -> bool:
    """Whether a method could make both rows in one pass."""
    if (other.method, other.source) != (first.method, first.source) or other.checkpoint_of is not None:
        return False
    return plan.ride(other) == plan.ride(first)
