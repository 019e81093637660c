"""What came of a night's rows, written down: to its stage, to MLflow, and as the report."""

from __future__ import annotations

from functools import partial

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.outputs import current_records, folder_name, publish_report, ui_commands
from flows.plan import PlannedRow
from flows.server import PREFECT_ERRORS
from flows.stage import Stage
from flows.tables import count, workers_in_words
from nada.errors import NadaError, OutputError
from tasks import metrics, rowcache, tracking
from tasks.metrics import REPORTS_DIR
from tasks.report import Failure, Night
from tasks.rowcache import Record
from tasks.workers import RowFailedError

BOARD_LINES = 100  # of the leaderboard in Prefect's pages
REASON_LENGTH = 600  # of a failure in tables and report; the whole of it is in MLflow and Prefect


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
