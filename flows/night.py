"""The night: plan, fan out, adapt, judge, record, report.

Rows are Prefect tasks on threads; each thread hands its row to a warm worker process and waits. A failed row
never sinks the others: it is retried once if its process died, else recorded as lost, and the flow ends Failed
only after everything else is done and reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from prefect import flow, runtime, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture, as_completed
from prefect.tasks import Task

from flows.announce import announce, summary_of, summary_of_refusal
from flows.display import Display, make_display
from flows.keeper import Keeper
from flows.outputs import check_reports_writable, current_records, folder_name, publish_report, ui_commands
from flows.plan import Plan, PlannedRow, plan_to_run
from flows.schedule import Waiting
from flows.server import PREFECT_ERRORS, UNREACHABLE, PrefectServer, ServerError
from flows.tables import count, workers_in_words
from nada.errors import NadaError, OutputError
from tasks import metrics, parents, rowcache, tracking, webhook
from tasks.ledger import Ledger
from tasks.metrics import REPORTS_DIR
from tasks.nightlock import only_night
from tasks.params import load_params
from tasks.report import Failure, Night
from tasks.rowcache import Record
from tasks.workers import CHECK_MODELS, Pool, Progress, RowFailedError, WorkerDiedError

RETRIES_OF_A_DEAD_WORKER = 1
BOARD_LINES = 100  # of the leaderboard in Prefect's pages
REASON_LENGTH = 600  # of a failure in tables and report; the whole of it is in MLflow and Prefect


class RowsFailedError(NadaError):
    """At least one row of the night was lost; the others are finished, recorded and reported."""


class Stage:
    """Everything that a running night holds: its plan, its workers, its reader, and what came of it so far.

    No dataclass: Prefect walks through those among a task's arguments, in the task's thread, while we write to them.
    """

    def __init__(
        self,
        plan: Plan,
        pool: Pool,
        display: Display,
        keeper: Keeper,
        waiting: Waiting,
        started: datetime,
        server: PrefectServer,
    ) -> None:
        self.plan = plan
        self.pool = pool
        self.display = display
        self.keeper = keeper
        self.waiting = waiting
        self.started = started
        self.server = server
        self.records: dict[str, Record] = {}
        self.failures: list[Failure] = []
        self.trained: list[str] = []
        self.report_path: Path | None = None
        self.closed = False
        """Whether everything is done, recorded and reported."""
        self.prefect_lost = False
        """Whether Prefect's server was gone at the end; waiting for it at exit would take minutes and help nobody."""

    @property
    def name(self) -> str:
        """The night's name, unique to the second."""
        return night_name(self.started)

    @property
    def reasons(self) -> dict[str, str]:
        """Domain -> why it was lost."""
        return {failure.domain: failure.reason for failure in self.failures}

    @cached_property
    def ledger(self) -> Ledger:
        """What goes to MLflow; the night's run there is opened by the first entry."""
        rows = [planned.row for planned in self.plan.rows]
        return Ledger(partial(tracking.start_night, self.plan.params, rows, self.name, started=self.started))

    @cached_property
    def planned(self) -> dict[str, PlannedRow]:
        """Domain -> its row."""
        return {planned.row.domain: planned for planned in self.plan.rows}

    @property
    def seconds(self) -> float:
        """Since the night began."""
        return time.time() - self.started.timestamp()

    def progress(self, progress: Progress) -> None:
        """News of a running row; called from many threads."""
        self.keeper.progress(progress)
        self.display.progress(progress)


def night_name(started: datetime) -> str:
    """A night's name, unique to the second."""
    return f"night {started:%Y-%m-%d %H:%M:%S}"


@contextmanager
def set_stage(plan: Plan, display: Display) -> Iterator[Stage]:
    """Lock the project, clean up, start the workers, and load every model once before any training.

    Raises:
        InputError: the output cannot be written, the disk is too full, models cannot be loaded, or no Ray is there.
        ServerError: Prefect's server does not answer.
    """
    started = datetime.now().astimezone()
    with ExitStack() as stack:
        stack.enter_context(only_night())
        keeper = stack.enter_context(kept_status(plan, started, display))
        webhook.address_of(plan.params.night.webhook)
        rowcache.check_writable()
        check_reports_writable()
        plan.check_disk(plan.to_train)
        rowcache.sweep()
        stack.callback(rowcache.sweep)  # of workers that were killed, when all have ended
        server = PrefectServer()  # an embedded one starts while the models load
        pool = stack.enter_context(plan.open_pool(len(plan.to_train)))
        if plan.to_train:
            check_models(plan, pool)
        server.ready()
        if plan.params.night.storage == "delta":
            parents.keep(plan.generator_path)
        waiting = plan.waiting(started)
        keeper.running(waiting, len(pool.workers), len(plan.rows) - len(plan.to_train))
        yield Stage(plan, pool, display, keeper, waiting, started, server)


def check_models(plan: Plan, pool: Pool) -> None:
    """Load every model once in a worker; as with rows, one that was killed meanwhile is no reason to give up.

    Raises:
        InputError: models cannot be loaded.
        WorkerError: the worker died twice.
    """
    job = plan.job(plan.to_train[0])
    for attempts_left in reversed(range(RETRIES_OF_A_DEAD_WORKER + 1)):
        try:
            pool.run(job, function=CHECK_MODELS)
            return
        except WorkerDiedError:
            if not attempts_left:
                raise


@contextmanager
def kept_status(plan: Plan, started: datetime, display: Display) -> Iterator[Keeper]:
    """The night's status, which says in the end how the night ended, as does the one summary that is then sent."""
    keeper = Keeper(night_name(started), started, len(plan.rows), plan.deadline(started))
    try:
        yield keeper
    except KeyboardInterrupt:
        keeper.state("interrupted")
        raise
    except BaseException as err:
        keeper.state("broken", problem=str(err) or type(err).__name__)
        raise
    else:
        keeper.state("finished")
    finally:
        announce(plan.params.night.webhook, summary_of(keeper.status), display.say)


@flow(name="night", flow_run_name="{name}", validate_parameters=False)
def night(params_path: str = "params.yaml", opened: Callable[[], Stage] | None = None, name: str = "night") -> None:
    """Train what the prompts ask for and is not there yet; record and report.

    Args:
        params_path: params.yaml.
        opened: returns an opened stage; by default the flow opens its own. Not the stage itself: Prefect writes down
            the parameters of a flow, and would walk through every row of the plan.
        name: shown in Prefect's pages.

    Raises:
        RowsFailedError: a row was lost.
        InputError: see `plan_to_run` and `set_stage`.
    """
    with ExitStack() as stack:
        if opened is not None:
            stage = opened()
        else:
            display = make_display()
            stage = stack.enter_context(set_stage(plan_or_tell(Path(params_path), display), display))
        stack.enter_context(stage.pool)  # ends the workers before Prefect waits for the threads that use them
        for planned, result in train_rows(stage):
            settle(stage, planned, result)
        write_outputs(stage)
        close_books(stage)
        stage.closed = True
    if stage.failures:
        raise RowsFailedError(f"{len(stage.failures)} of {len(stage.plan.rows)} rows failed")


def plan_or_tell(params_path: Path, display: Display) -> Plan:
    """The plan of a night that nobody started by hand: that it cannot begin is sent like the summary of any other."""
    try:
        return plan_to_run(params_path)[0]
    except NadaError as err:
        with suppress(NadaError):  # params.yaml itself cannot be read
            announce(load_params(params_path).night.webhook, summary_of_refusal(str(err)), display.say)
        raise


def run_night(plan: Plan, display: Display) -> Stage:
    """Run the flow on a plan; lost rows are in the result, not raised.

    Raises:
        InputError: found before any training.
        ServerError: Prefect's server cannot be reached, before any training.
    """
    display.say("Loading the models and starting Prefect", "dim")
    with set_stage(plan, display) as stage:
        try:
            with stage.server.used(), suppress(RowsFailedError):  # the caller reads stage.failures
                night(str(plan.params_path), lambda: stage, stage.name)
        except (*PREFECT_ERRORS, RuntimeError) as err:
            if isinstance(err, RuntimeError) and not str(err).startswith(UNREACHABLE):
                raise
            if not stage.closed:
                raise ServerError(f"Prefect: the night could not start ({err}); try again") from err
            display.say(f"Prefect: the end of the night was not recorded ({err})", "yellow")
            stage.prefect_lost = True
        return stage


def train_rows(stage: Stage) -> Iterator[tuple[PlannedRow, Record | Exception]]:
    """Keep every worker busy, and yield each row as it ends, with its record or with what it raised.

    A row becomes a Prefect task when a worker is free for it, so a long CSV costs nothing before its turn.
    """
    running: dict[PrefectFuture[Record], str] = {}

    def fill() -> None:
        while len(running) < len(stage.pool.workers) and (domain := stage.waiting.take(stage.seconds)):
            running[adapt_row.submit(domain, stage)] = domain

    fill()
    book_current(stage)  # thousands of records; the workers need none of them
    while running:
        future = next(as_completed(list(running)))
        domain, result = running.pop(future), outcome(future)
        fill()  # before the row is booked: no worker waits for MLflow
        yield stage.planned[domain], result


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
def adapt_row(domain: str, stage: Stage) -> Record:
    """Adapt, judge and publish one row on the next idle worker."""
    stage.plan.check_disk([stage.planned[domain]])  # now, and not after hours of training
    job = stage.plan.job(stage.planned[domain])
    limit = stage.plan.params.night.row_timeout_minutes * 60
    try:
        record: Record = stage.pool.run(job, stage.progress, timeout_seconds=limit)
    except WorkerDiedError as err:
        if runtime.task_run.run_count <= RETRIES_OF_A_DEAD_WORKER:
            stage.display.again(domain, str(err))
        raise
    return record


def book_current(stage: Stage) -> None:
    """Take up the rows that are finished already."""
    stage.records |= {record["domain"]: record for record in current_records(stage.plan)}


def settle(stage: Stage, planned: PlannedRow, result: Record | Exception) -> None:
    """Book a row's end, good or bad."""
    row = planned.row
    if not isinstance(result, Exception):
        stage.records[row.domain] = rowcache.for_reports(result)
        stage.trained.append(row.domain)
        stage.waiting.lasted(row.domain, result["seconds"]["total"])
        stage.keeper.finished(result)
        stage.display.finished(result)
        stage.ledger.add(partial(tracking.record_row, record=result, folder=rowcache.ADAPTED_DIR / row.domain))
        write_ledger(stage)
        return
    reason = " ".join(str(result).split())[:REASON_LENGTH] or type(result).__name__
    details = result.details if isinstance(result, RowFailedError) else ""
    stage.failures.append(
        Failure(domain=row.domain, source=row.source, target=row.target, reason=reason, details=details)
    )
    stage.keeper.failed(row.domain, reason)
    stage.display.failed(row.domain, reason)
    stage.ledger.add(partial(tracking.record_failure, row=row, key=planned.key, error=reason))
    write_ledger(stage)


@task(name="record in MLflow", cache_policy=NO_CACHE)
def write_ledger(stage: Stage, last: bool = False) -> None:
    """Write to MLflow what waits for it. A store that refuses costs nothing else: the night matters more."""
    try:
        if last:
            stage.ledger.write_last()
        else:
            stage.ledger.write()
    except NadaError as err:
        when = "the next night will" if last else "tried again in minutes, at the end, and by the next night"
        stage.display.say(f"MLflow: not recorded now, {when} ({err})", "yellow")
        if last:
            stage.keeper.not_recorded()


@task(name="report", cache_policy=NO_CACHE)
def write_outputs(stage: Stage) -> None:
    """Write metrics, leaderboard and report."""
    described = Night(
        name=f"Night of {stage.started:%-d %B %Y, %H:%M}",
        started=stage.started.isoformat(timespec="seconds"),
        seconds=stage.seconds,
        workers=workers_in_words(stage.plan),
        trained=tuple(stage.trained),
        current=tuple(planned.row.domain for planned in stage.plan.rows if planned.state == "current"),
        failures=tuple(stage.failures),
        left=stage.waiting.domains,
        commands=ui_commands(),
    )
    records = list(stage.records.values())
    stage.keeper.state("reporting")
    try:
        stage.report_path = publish_report(records, described, REPORTS_DIR / folder_name(stage.started))
    except OutputError as err:  # a full disk, say; the rows are whole, and MLflow may be elsewhere
        stage.display.say(f"The report is not written: {err}; nada report writes it", "bold red")
        return
    stage.keeper.state("reporting", report=str(stage.report_path.resolve()))
    board = metrics.leaderboard(records)
    if board:
        try:
            create_table_artifact(key="leaderboard", table=board[:BOARD_LINES], description=described.name)
        except PREFECT_ERRORS as err:
            stage.display.say(f"Prefect: the leaderboard is not in its pages ({err})", "yellow")


def close_books(stage: Stage) -> None:
    """What earlier nights did not record, then leaderboard and report on MLflow's parent run."""
    board = metrics.leaderboard(list(stage.records.values()))
    page, failed = stage.report_path, bool(stage.failures)
    tracking.end_night(stage.name, failed)
    artifacts = [] if page is None else [page, page.with_name(metrics.CONFUSION_NAME)]
    stage.ledger.add(partial(catch_up, stage))
    stage.ledger.add(partial(tracking.finish_night, leaderboard=board, failed=failed, artifacts=artifacts))
    write_ledger(stage, last=True)


def catch_up(stage: Stage, run: tracking.NightRun) -> None:
    """Write finished rows to MLflow that no run tells of: an interrupted night's, or those that came by `dvc pull`.

    After everything else, for thousands of them take an hour; the deadline leaves the rest to the next night.
    """
    domains = {planned.key: planned.row.domain for planned in stage.plan.rows if planned.state == "current"}
    missing = tracking.unrecorded(run, domains)
    if missing:
        stage.display.say(f"Recording {count(len(missing), 'domain')} of earlier nights in MLflow", "dim")
    for key in missing:
        if stage.seconds > stage.waiting.deadline:
            return
        domain = domains[key]
        tracking.record_row(run, stage.records[domain], rowcache.ADAPTED_DIR / domain)
