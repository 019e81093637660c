"""New rows of a running night: queued, told of, and lost where what they start from is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial

from nada.errors import NadaError
from tasks.context import NightContext
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.plan.wording import listed
from tasks.record import fail_row
from tasks.store import base_models, row_folder
from tasks.store.record import RecordError
from tasks.tracking.mlflow_store import add_rows


def join(context: NightContext, plan: Plan, added: Sequence[PlannedRow], running: Collection[str]) -> None:
    """Go on with a plan that has these rows as well.

    Args:
        context: the night.
        plan: with them.
        added: the rows.
        running: rows that are being made or judged now.
    """
    context.plan = plan
    working = {planned.domain: planned for planned in added if planned.state in ("train", "judge")}
    pending = {*context.waiting.domains, *running, *working}
    context.waiting.add(
        {name: planned.cost.seconds for name, planned in working.items()},
        {name: on for name, planned in working.items() if (on := planned.waits_for) in pending and on},
        {name: planned.row.priority for name, planned in working.items()},
    )
    for planned in added:
        if planned.state == "current":
            with suppress(RecordError):  # its pictures find their prompts at the end of the night
                context.records[planned.domain] = row_folder.read_record(planned.domain)
    context.status_writer.added([planned.domain for planned in added], len(added) - len(working))
    rows = [planned.row for planned in plan.rows]
    context.outbox.add(partial(add_rows, params=plan.params, rows=rows))
    context.listener.say(f"Joined the night: {listed([planned.domain for planned in added])}", "bold")
    for path in plan.rebuilt_from:
        try:
            base_models.keep(path)
        except NadaError as err:
            context.listener.say(f"{path}: not kept ({err})", "yellow")
    for lost in {*context.reasons, *context.held}:
        for name in context.waiting.remove([n for n, p in working.items() if p.waits_for == lost]):
            why = context.reasons.get(lost, context.stopped)
            fail_row(context, plan.by_domain[name], NadaError(f"starts from {lost!r}, which failed: {why}"))
