"""The Prefect tasks that tell what came of rows: to whoever watches, to MLflow, and to the report's readers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from nada.errors import NadaError, OutputError, one_line
from tasks.config.project import HERE
from tasks.config.prompts import columns_of
from tasks.context import Listener, NightContext
from tasks.live.alike import kind_of
from tasks.plan.planned_row import PlannedRow
from tasks.plan.wording import count, listed, workers_in_words
from tasks.report import metrics
from tasks.report.files import folder_name, publish_report, ui_commands
from tasks.report.page import Failure, Night
from tasks.status.prefect_errors import PREFECT_ERRORS
from tasks.store.record import Record
from tasks.tracking import mlflow_store, row_runs
from tasks.tracking.address import without_secrets
from tasks.tracking.refusals import StoreRefusedError
from tasks.variants.names import domain_of, variant_of
from tasks.variants.published import publish_domains
from tasks.workers.pool import RowFailedError

BOARD_LINES = 100  # of the leaderboard in Prefect's pages
AGAIN = "not recorded now, tried again in minutes, at the end, and by the next night"
AT_THE_END = "not recorded now, the next night tries again"
REASON_LENGTH = 600  # of a failure in tables and report; the whole of it is in MLflow and Prefect


def record_row(context: NightContext, planned: PlannedRow, result: Record | Exception) -> None:
    """Book a row's end, good or bad."""
    row = planned.row
    if not isinstance(result, Exception):
        context.records[row.domain] = result
        (context.trained if planned.state == "train" else context.judged).append(row.domain)
        context.waiting.lasted(row.domain, result.worker_seconds if planned.state == "train" else _judging(result))
        context.waiting.release(row.domain)
        context.status_writer.finished(result)
        context.listener.finished(result)
        context.live_rows.ended(row.domain)
        context.outbox.add(partial(row_runs.record_row, record=result, folder=HERE.adapted / row.domain))
        publish_taken(context, [domain_of(row.domain)])
        context.alike.succeeded()
        return
    fail_row(context, planned, result)
    hold_alike(context, planned, result)
    for follower in context.waiting.drop_followers(row.domain):
        lost = NadaError(f"starts from {row.domain!r}, which failed: {context.reasons[row.domain]}")
        fail_row(context, context.plan.by_domain[follower], lost)


def hold_alike(context: NightContext, planned: PlannedRow, error: Exception) -> None:
    """Try no more rows like those that failed alike."""
    kinds = context.alike.failed(planned, error)
    rows = [name for name in context.waiting.domains if kind_of(context.plan.by_domain[name]) in kinds]
    if not (held := context.waiting.remove(rows)):
        return
    recipes = listed(sorted({recipe or method for method, recipe, _ in kinds}))
    context.held += held
    context.stopped = (
        f"{len(context.held)} rows are not tried, for {context.alike.most} in a row failed alike (recipe {recipes}): "
        f"{context.reasons[planned.domain]}; nada run tries them once that is mended"
    )
    context.status_writer.held(held, context.stopped)
    context.listener.say(context.stopped, "bold red")


def fail_row(context: NightContext, planned: PlannedRow, error: Exception) -> None:
    """Book a row that is lost."""
    row = planned.row
    reason = " ".join(str(error).split())[:REASON_LENGTH] or type(error).__name__
    details = error.details if isinstance(error, RowFailedError) else ""
    context.failures.append(
        Failure(domain=row.domain, source=row.source, target=row.aim, reason=reason, details=details)
    )
    context.status_writer.failed(row.domain, reason)
    context.listener.failed(row.domain, reason)
    context.live_rows.ended(row.domain)
    context.outbox.add(partial(row_runs.record_failure, row=row, key=planned.keys.making, error=reason))


def publish_taken(context: NightContext, domains: Sequence[str] | None = None) -> None:
    """Let domains of several rows be the best that is finished; what fails costs the folder of the domain alone."""
    try:
        for domain, choice in publish_domains(context.plan, context.records, domains).items():
            record = context.records[choice.name]
            context.outbox.add(partial(row_runs.register_taken, record=record, domain=domain))
            context.listener.say(f"{domain} is {variant_of(choice.name)} now: {choice.why}", "dim")
    except NadaError as err:
        context.listener.say(f"The best variant is not published: {err}; nada run does it", "yellow")


def _judging(record: Record) -> float:
    return sum(record.evaluation.seconds.values())


def prepare_outbox(listener: Listener) -> None:
    """Import MLflow and make its database, which takes seconds, while models are loaded; `open_outbox` does the rest.

    Raises:
        StoreRefusedError: see there.
    """
    try:
        for note in mlflow_store.make_ready():
            listener.say(f"MLflow: {note}", "yellow")
    except StoreRefusedError:
        raise
    except NadaError:
        return  # it is tried again, and told of, when the run is opened


def open_outbox(context: NightContext) -> None:
    """Open the night's run in MLflow before anything is made, and write there from now on. A store that may take it
    later is no reason to wait.

    Raises:
        StoreRefusedError: it will not, until somebody does what the message says.
    """
    try:
        for note in context.outbox.open():
            context.listener.say(f"MLflow: {note}", "yellow")
    except StoreRefusedError:
        raise
    except NadaError as err:
        context.listener.say(f"MLflow: {AGAIN} ({err})", "yellow")
    context.outbox.start(lambda err: _refused(context, err, AGAIN))


def leave_outbox(context: NightContext) -> None:
    """Let no run seem to go on where the night is broken off; one that came to its end has closed them."""
    if not context.closed:
        context.outbox.leave(lambda night: row_runs.leave_runs(night, [*context.live_rows.run_ids, night.run_id]))


@task(name="record in MLflow", task_run_name="record in MLflow", cache_policy=NO_CACHE)
def write_outbox(context: NightContext) -> None:
    """Write to MLflow what still waits for it. Whatever goes wrong costs nothing else: the night matters more."""
    try:
        context.outbox.write_last()
    except Exception as err:
        _refused(context, err, AT_THE_END)
        context.status_writer.not_recorded()


def _refused(context: NightContext, err: Exception, what: str) -> None:
    said = str(err) if isinstance(err, NadaError) else f"{type(err).__name__}: {one_line(err)}"
    context.listener.say(f"MLflow: {what} ({without_secrets(said)})", "yellow")


@task(name="report", task_run_name="report", cache_policy=NO_CACHE)
def write_report(context: NightContext) -> None:
    """Write metrics, leaderboard and report."""
    publish_taken(context)  # once more, as pictures have found their prompts anew
    told = context.told
    trained = list(dict.fromkeys(map(domain_of, context.trained)))
    judged = {domain_of(domain) for domain in context.judged}
    kept = [record.domain for record in told if record.domain not in trained or record.domain in judged]
    described = Night(
        name=f"Night of {context.started:%-d %B %Y, %H:%M}",
        started=context.started.isoformat(timespec="seconds"),
        seconds=context.seconds,
        workers=workers_in_words(context.plan),
        trained=tuple(trained),
        current=tuple(kept),
        failures=tuple(context.failures),
        left=context.waiting.domains,
        held=tuple(context.held),
        stopped=context.stopped,
        commands=ui_commands(),
        columns=columns_of(Path(context.plan.params.night.prompts)),
    )
    context.status_writer.state("reporting")
    try:
        context.report_path = publish_report(
            told.records, described, HERE.reports / folder_name(context.started), told.families
        )
    except OutputError as err:  # a full disk, say; the rows are whole, and MLflow may be elsewhere
        context.listener.say(f"The report is not written: {err}; nada report writes it", "bold red")
        return
    context.status_writer.state("reporting", report=str(context.report_path))
    board = metrics.leaderboard(told.records, told.families)
    if board:
        try:
            create_table_artifact(key="leaderboard", table=board[:BOARD_LINES], description=described.name)
        except PREFECT_ERRORS as err:
            context.listener.say(f"Prefect: the leaderboard is not in its pages ({err})", "yellow")


def record_night(context: NightContext) -> None:
    """What earlier nights did not record, then leaderboard and report on MLflow's parent run."""
    board = metrics.leaderboard(context.told.records, context.told.families)
    page, failed = context.report_path, bool(context.failures)
    mlflow_store.end_night(context.name, failed)
    artifacts = [] if page is None else [page, page.with_name(metrics.CONFUSION_NAME)]
    context.outbox.add(partial(catch_up, context))
    context.outbox.add(lambda night: row_runs.leave_runs(night, context.live_rows.run_ids))  # of rows that were paused
    context.outbox.add(partial(mlflow_store.finish_night, leaderboard=board, failed=failed, artifacts=artifacts))
    write_outbox(context)


def catch_up(context: NightContext, run: mlflow_store.NightRun) -> None:
    """Write finished rows to MLflow that no run tells of: an interrupted night's, or those that came by `dvc pull`; and
    which rows were taken by `nada pick`.

    After everything else, for thousands of them take an hour; the deadline leaves the rest to the next night.
    """
    new = {*context.trained, *context.judged}
    kept = [record for domain, record in context.records.items() if domain not in new]
    missing = mlflow_store.unrecorded(run, kept)
    if missing:
        context.listener.say(f"Recording {count(len(missing), 'domain')} of earlier nights in MLflow", "dim")
    for record in missing:
        if context.seconds > context.waiting.deadline:
            return
        row_runs.record_row(run, record, HERE.adapted / record.domain)
    for domain, family in context.told.families.items():
        row_runs.register_taken(run, family.records[family.choice.name], domain)
