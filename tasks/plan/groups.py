"""Which rows are made in one pass."""

from __future__ import annotations

from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.plan.queue import RowQueue


def together(plan: Plan, domain: str, waiting: RowQueue, now: float) -> list[PlannedRow]:
    """A row that was taken, and those that wait and may ride along; they are taken too.

    Rows ride together where their method says so and allows as many, where they start from the same source, and for
    as long as their pass would end by the deadline.

    Args:
        plan: of the night.
        domain: the row that was taken.
        waiting: the others.
        now: seconds since the night began.
    """
    first = plan.by_domain[domain]
    rows, most = [first], 1 if first.checkpoint_of else first.method_object.num_together
    for name in waiting.ready if most > 1 else ():
        other = plan.by_domain[name]
        is_one_more = len(rows) < most and waiting.in_time([*(row.domain for row in rows), name], now)
        if is_one_more and other.state == first.state and may_ride_along(plan, first, other):
            rows.append(other)
    waiting.take_these([planned.domain for planned in rows])
    return sorted(rows, key=lambda planned: planned.row.line)  # so that the same rows are the same pass another time


def may_ride_along(plan: Plan, first: PlannedRow, other: PlannedRow) -> bool:
    """Whether a method could make both rows in one pass."""
    if (other.method, other.source) != (first.method, first.source) or other.checkpoint_of is not None:
        return False
    method = first.method_object
    return method.group(plan.job(other).assignment) == method.group(plan.job(first).assignment)
