"""The night: make and judge every row, let all find their prompts, report and record.

Rows are Prefect tasks on threads; each thread hands its row to a warm worker process and waits. A failed row
never sinks the others: it is retried once if its process died, else recorded as lost, and the flow ends Failed
only after everything else is done and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture

from flows.cli.display import Display, clock, make_display
from flows.cli.terminal import unexpected
from flows.context import open_context
from flows.server import UNREACHABLE, ServerError
from nada.errors import NadaError
from tasks.config.params import load_params
from tasks.context import NightContext
from tasks.evaluate import evaluate_row, retrieve_rows
from tasks.live.growing import Growth
from tasks.live.joining import join
from tasks.live.pausing import is_paused
from tasks.make import make_row
from tasks.plan.beginning import only_writer, plan_to_run
from tasks.plan.devices import open_pool
from tasks.plan.groups import together
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.record import record_night, record_row, write_outbox, write_report
from tasks.report.files import current_records
from tasks.status.live_page import page_path
from tasks.status.prefect_errors import PREFECT_ERRORS
from tasks.status.summary import announce, summary_of_refusal
from tasks.store.record import Record
from tasks.workers.pool import Pool

LOOK_SECONDS = 1.0  # between two looks at the CSV and for a pause, while no row ends


class RowsFailedError(NadaError):
    """At least one row of the night was lost; the others are finished, recorded and reported."""


@flow(name="night", flow_run_name="{name}", validate_parameters=False)
def night(
    params_path: str = "params.yaml", opened: Callable[[], NightContext] | None = None, name: str = "night"
) -> None:
    """Make and judge what the prompts ask for and is not there yet; record and report.

    Args:
        params_path: params.yaml.
        opened: returns an opened context; by default the flow opens its own. Not the context itself: Prefect writes
            down the parameters of a flow, and would walk through every row of the plan.
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
            stack.enter_context(told(display))
            plan = stack.enter_context(planned_or_told(Path(params_path), display))
            pool = stack.enter_context(open_pool(plan.params.night, plan.needed_workers))
            context, _ = stack.enter_context(open_context(plan, display, pool))
        stack.enter_context(context.pool)  # ends the workers before Prefect waits for the threads that use them
        for planned, result in work_through(context):
            record_row(context, planned, result)
        retrieve_rows(context)
        write_report(context)
        record_night(context)
        context.closed = True
    if context.failures:
        raise RowsFailedError(f"{len(context.failures)} of {len(context.plan.rows)} rows failed")


def work_through(context: NightContext) -> Iterator[tuple[PlannedRow, Record | Exception]]:
    """Keep every worker busy, and yield each row as it ends, with its record or with what it raised.

    A row becomes a Prefect task when a worker is free for it, so a long CSV costs nothing before its turn. A row that
    is made is judged at once, on the worker that made it.
    """
    running: dict[PrefectFuture[Any], tuple[Callable[..., Any], str]] = {}
    ended: SimpleQueue[PrefectFuture[Any]] = SimpleQueue()
    growth = Growth(Path(context.plan.params.night.prompts), takes=not context.plan.is_part)
    passes: dict[str, int] = {}  # domain -> the pass that keeps a worker busy with it
    is_halted = False  # when it was last looked at: a pause that ends after that look kept rows from beginning

    def fill() -> None:
        nonlocal is_halted
        is_halted = is_paused()
        context.status_writer.paused(is_halted)
        while not is_halted and (idle := len(context.pool.workers) - len(set(passes.values()))) > 0:
            if (domain := context.waiting.take(context.seconds)) is None:
                return
            number = max(passes.values(), default=0) + 1
            if context.plan.by_domain[domain].state == "judge":
                start(evaluate_row, domain, number)
                continue
            rows = together(context.plan, domain, context.waiting, context.seconds, idle)
            context.gather(rows)
            for planned in rows:
                start(make_row, planned.domain, number)

    def start(task: Any, domain: str, number: int) -> None:
        passes[domain] = number
        future = task.submit(domain, context)
        running[future] = task, domain
        future.add_done_callback(ended.put)

    fill()
    for record in current_records(context.plan):  # thousands of records; the workers need none of them
        context.records[record.domain] = record
    while running or (is_halted and context.waiting.would_take(context.seconds)):
        take_up(context, growth, set(passes))
        try:
            future = ended.get(timeout=LOOK_SECONDS)
        except Empty:
            fill()  # new rows, or a pause that is over
            continue
        (task, domain), result = running.pop(future), outcome(future)
        if task is make_row and result is None:
            del passes[domain]
            context.waiting.put_back(domain)
            context.status_writer.made_way(domain)
            context.listener.say(f"{clock()} {domain}: paused; its state is saved", "yellow")
            fill()
            continue
        if task is make_row and not isinstance(result, Exception):
            start(evaluate_row, domain, passes[domain])
            continue
        del passes[domain]
        fill()  # before the row is booked: no worker waits for MLflow
        yield context.plan.by_domain[domain], result
        fill()  # rows that waited for this one's result


def take_up(context: NightContext, growth: Growth, running: Collection[str]) -> None:
    """Let rows that were added to the CSV join the night."""
    found = growth.look(context.plan)
    if found.problem:
        context.listener.say(f"{clock()} {found.problem}", "yellow")
    if found.plan is not None:
        join(context, found.plan, found.added, running)


def outcome(future: PrefectFuture[Any]) -> Any:
    """What a task returned or raised; an error of Prefect's own costs no more than the row either."""
    try:
        return future.result(raise_on_failure=False)
    except Exception as err:
        return err


@contextmanager
def told(display: Display) -> Iterator[None]:
    """Say in a line why a night breaks off that nobody started by hand; Prefect keeps the traceback."""
    try:
        yield
    except Exception as err:
        why = str(err) if isinstance(err, NadaError) else unexpected(err)
        display.say(f"{clock()} the night broke off: {why}", "bold red")
        raise


@contextmanager
def planned_or_told(params_path: Path, display: Display) -> Iterator[Plan]:
    """The plan of a night that nobody started by hand: that it cannot begin is sent like the summary of any other."""
    with ExitStack() as stack:
        try:
            stack.enter_context(only_writer(params_path, here=False))
            plan = plan_to_run(params_path).plan
        except NadaError as err:
            with suppress(NadaError):  # params.yaml itself cannot be read
                announce(load_params(params_path).night.webhook, summary_of_refusal(str(err)), display.say)
            raise
        yield plan


def run_night(plan: Plan, display: Display, pool: Pool) -> NightContext:
    """Run the flow on a plan; lost rows are in the result, not raised.

    Raises:
        InputError: found before any training.
        ServerError: Prefect's server cannot be reached, before any training.
    """
    display.say(f"Live     {page_path().resolve().as_uri()}")
    display.say("Loading the models and starting Prefect", "dim")
    with open_context(plan, display, pool) as (context, server):
        try:
            with server.used(), suppress(RowsFailedError):  # the caller reads context.failures
                night(str(plan.params_path), lambda: context, context.name)
            server.owes(context.name, str(write_outbox.task_run_name))
        except (*PREFECT_ERRORS, RuntimeError) as err:
            if isinstance(err, RuntimeError) and not str(err).startswith(UNREACHABLE):
                raise
            if not context.closed:
                raise ServerError(f"Prefect: the night could not start ({err}); try again") from err
            display.say(f"Prefect: the end of the night was not recorded ({err})", "yellow")
            context.prefect_lost = True
        return context
