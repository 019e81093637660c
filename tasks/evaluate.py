"""The Prefect tasks that judge: a row by itself, in seconds, and all rows among each other's prompts."""

from __future__ import annotations

from contextlib import suppress

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE

from nada.errors import NadaError
from tasks.context import NightContext
from tasks.make import RETRIES_OF_A_DEAD_WORKER, worker_died
from tasks.plan.planned_row import PlannedRow
from tasks.store import row_folder
from tasks.store.record import Record, RecordError
from tasks.workers.pool import EVALUATE_ROW, RETRIEVE_ROWS, RowFailedError, WorkerDiedError

RETRIEVED_AT_ONCE = 1000  # rows in one job: what it has done is kept when the next one fails


@task(
    name="judge",
    task_run_name="judge {domain}",
    retries=RETRIES_OF_A_DEAD_WORKER,
    retry_condition_fn=worker_died,
    cache_policy=NO_CACHE,
)
def evaluate_row(domain: str, context: NightContext) -> Record:
    """Judge one made row on a worker: on the one that made it where that is free, for it holds the result.

    What lies there whole in the end counts, whatever kept the worker from telling of it.
    """
    planned = context.plan.by_domain[domain]
    context.logs.open(domain)
    try:
        job = context.plan.evaluate_job(planned)
        context.pool.run(EVALUATE_ROW, job, context.progress, timeout_seconds=context.row_seconds, about=domain)
    except NadaError as err:
        if row_folder.state_of(domain, planned.keys) != "whole":
            if isinstance(err, WorkerDiedError) and runtime.task_run.run_count <= RETRIES_OF_A_DEAD_WORKER:
                context.listener.again(domain, str(err))
            if isinstance(err, RowFailedError):
                context.logs.say(domain, err.details)
            raise
    return row_folder.read_record(domain)


def among_fewer(context: NightContext) -> list[PlannedRow]:
    """Rows of this night whose pictures found their prompts before further rows joined it."""
    rows = [planned for planned in context.plan.rows if planned.domain in context.records and not planned.retrieves]
    return [one for one in rows if context.records[one.domain].retrieval.key != one.keys.retrieval]


@task(name="retrieve", task_run_name="retrieve", cache_policy=NO_CACHE)
def retrieve_rows(context: NightContext) -> None:
    """Let the pictures of rows that were judged in earlier nights find their prompts among those of this one.

    What fails costs these figures alone: the next night tries again.
    """
    rows = [*context.plan.to_retrieve, *among_fewer(context)]
    for start in range(0, len(rows), RETRIEVED_AT_ONCE):
        some = rows[start : start + RETRIEVED_AT_ONCE]
        try:
            failed = context.pool.run(
                RETRIEVE_ROWS, context.plan.retrieve_job(some), timeout_seconds=context.row_seconds
            )
        except Exception as err:  # the rows are whole; the night goes on to its report
            failed = {planned.domain: str(err) or type(err).__name__ for planned in some}
        for domain, reason in failed.items():
            what = f"{domain}: its pictures did not find their prompts anew ({reason}); the next night tries again"
            context.listener.say(what, "yellow")
    for planned in rows:
        with suppress(RecordError):  # of a row that failed, and that a killed night had left without its retrieval
            context.records[planned.domain] = row_folder.read_record(planned.domain)
