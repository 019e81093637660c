"""The night: plan, fan out, adapt, judge, record, report.

Rows are Prefect tasks on threads; each thread hands its row to a warm worker process and waits. A failed row
never sinks the others: it is retried once if its process died, else recorded as lost, and the flow ends Failed
only after everything else is done and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from prefect import flow, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture, as_completed
from prefect.tasks import Task

from flows.cli.display import Display, make_display
from flows.context import RETRIES_OF_A_DEAD_WORKER, NightContext, open_context
from flows.recording import load_current, record_night, record_result, write_outputs
from flows.server import PREFECT_ERRORS, UNREACHABLE, ServerError
from nada.errors import NadaError
from tasks.config.params import load_params
from tasks.plan.plan import Plan, PlannedRow, plan_to_run
from tasks.status.summary import announce, summary_of_refusal
from tasks.store.row_folder import Record
from tasks.workers.pool import WorkerDiedError


class RowsFailedError(NadaError):
    """At least one row of the night was lost; the others are finished, recorded and reported."""


@flow(name="night", flow_run_name="{name}", validate_parameters=False)
def night(
    params_path: str = "params.yaml", opened: Callable[[], NightContext] | None = None, name: str = "night"
) -> None:
    """Train what the prompts ask for and is not there yet; record and report.

    Args:
        params_path: params.yaml.
        opened: returns an opened stage; by default the flow opens its own. Not the stage itself: Prefect writes down
            the parameters of a flow, and would walk through every row of the plan.
        name: shown in Prefect's pages.

    Raises:
        RowsFailedError: a row was lost.
        InputError: see `plan_to_run` and `open_context`.
    """
    with ExitStack() as stack:
        if opened is not None:
            context = opened()
        else:
            display = make_display()
            context = stack.enter_context(open_context(plan_or_tell(Path(params_path), display), display))
        stack.enter_context(context.pool)  # ends the workers before Prefect waits for the threads that use them
        for planned, result in train_rows(context):
            record_result(context, planned, result)
        write_outputs(context)
        record_night(context)
        context.closed = True
    if context.failures:
        raise RowsFailedError(f"{len(context.failures)} of {len(context.plan.rows)} rows failed")


def plan_or_tell(params_path: Path, display: Display) -> Plan:
    """The plan of a night that nobody started by hand: that it cannot begin is sent like the summary of any other."""
    try:
        return plan_to_run(params_path)[0]
    except NadaError as err:
        with suppress(NadaError):  # params.yaml itself cannot be read
            announce(load_params(params_path).night.webhook, summary_of_refusal(str(err)), display.say)
        raise


def run_night(plan: Plan, display: Display) -> NightContext:
    """Run the flow on a plan; lost rows are in the result, not raised.

    Raises:
        InputError: found before any training.
        ServerError: Prefect's server cannot be reached, before any training.
    """
    display.say("Loading the models and starting Prefect", "dim")
    with open_context(plan, display) as context:
        try:
            with context.server.used(), suppress(RowsFailedError):  # the caller reads context.failures
                night(str(plan.params_path), lambda: context, context.name)
        except (*PREFECT_ERRORS, RuntimeError) as err:
            if isinstance(err, RuntimeError) and not str(err).startswith(UNREACHABLE):
                raise
            if not context.closed:
                raise ServerError(f"Prefect: the night could not start ({err}); try again") from err
            display.say(f"Prefect: the end of the night was not recorded ({err})", "yellow")
            context.prefect_lost = True
        return context


def train_rows(context: NightContext) -> Iterator[tuple[PlannedRow, Record | Exception]]:
    """Keep every worker busy, and yield each row as it ends, with its record or with what it raised.

    A row becomes a Prefect task when a worker is free for it, so a long CSV costs nothing before its turn.
    """
    running: dict[PrefectFuture[Record], str] = {}

    def fill() -> None:
        while len(running) < len(context.pool.workers) and (domain := context.waiting.take(context.seconds)):
            running[adapt_row.submit(domain, context)] = domain

    fill()
    load_current(context)  # thousands of records; the workers need none of them
    while running:
        future = next(as_completed(list(running)))
        domain, result = running.pop(future), outcome(future)
        fill()  # before the row is booked: no worker waits for MLflow
        yield context.planned[domain], result


def outcome(future: PrefectFuture[Record]) -> Record | Exception:
    """What a row returned or raised; an error of Prefect's own costs no more than the row either."""
    try:
        result: Record | Exception = future.result(raise_on_failure=False)
    except Exception as err:
        return err
    return result


def worker_died(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a row deserves a second chance: its process was killed, the row itself raised nothing."""
    return isinstance(state.data, WorkerDiedError) or isinstance(state.result(raise_on_failure=False), WorkerDiedError)


@task(
    name="adapt",
    task_run_name="{domain}",
    retries=RETRIES_OF_A_DEAD_WORKER,
    retry_condition_fn=worker_died,
    cache_policy=NO_CACHE,
)
def adapt_row(domain: str, context: NightContext) -> Record:
    """Adapt, judge and publish one row on the next idle worker."""
    context.plan.check_disk([context.planned[domain]])  # now, and not after hours of training
    job = context.plan.job(context.planned[domain])
    limit = context.plan.params.night.row_timeout_minutes * 60
    try:
        record: Record = context.pool.run(job, context.progress, timeout_seconds=limit)
    except WorkerDiedError as err:
        if runtime.task_run.run_count <= RETRIES_OF_A_DEAD_WORKER:
            context.display.again(domain, str(err))
        raise
    return record
