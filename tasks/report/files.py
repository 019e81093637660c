"""The files that a night leaves for readers: report, metrics, leaderboard, and how to open the UIs. No Prefect."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from nada.errors import NadaError, OutputError
from tasks.config.environment import prefect_ui_command
from tasks.config.project import HERE
from tasks.config.prompts import columns_of
from tasks.plan.plan import Plan
from tasks.report import metrics
from tasks.report.page import NIGHT_NAME, REPORT_NAME, Night, load_night, save_night, write_report
from tasks.store import row_folder
from tasks.store.record import Record, RecordError
from tasks.tracking.address import ui_command as mlflow_ui_command
from tasks.variants.told import Family, Told


def check_reports_writable() -> None:
    """Make HERE.reports and try to write in it.

    Raises:
        OutputError: it cannot be written.
    """
    probe = HERE.reports / f".probe-{os.getpid()}"
    try:
        probe.mkdir(parents=True)
        probe.rmdir()
    except OSError as err:
        raise OutputError(f"{HERE.reports}: cannot be written ({err.strerror})") from err


def publish_report(
    records: Sequence[Record], night: Night, folder: Path, families: Mapping[str, Family] | None = None
) -> Path:
    """Write page, night.json and metrics into a folder, the metrics into HERE.reports as well.

    Args:
        records: one a domain.
        night: the night.
        folder: its own.
        families: domain -> its variants, of domains that have several.

    Returns:
        The page's path.

    Raises:
        OutputError: it cannot be written.
    """
    failures = {failure.domain: failure.reason for failure in night.failures}
    # The first is what DVC compares, the second what `nada compare` finds of earlier nights.
    metrics.write_metrics(records, failures, HERE.reports, folder, families=families)
    path = write_report(records, night, folder / REPORT_NAME, families=families)
    save_night(night, folder)
    return path


def refresh_report(plan: Plan, told: Told) -> tuple[Path, Night]:
    """Write the latest night's report again from what is finished now; returns the page's path and the night.

    Without an earlier night (weights that came by `dvc pull`) it starts a report of its own.

    Args:
        plan: whose rows it tells of.
        told: of its `current_records`.

    Raises:
        OutputError: it cannot be written.
    """
    ready = [record.domain for record in told]
    finished = {*ready, *(name for family in told.families.values() for name in family.records)}
    latest = latest_night()
    if latest is None:
        now = datetime.now().astimezone()
        started = now.isoformat(timespec="seconds")
        night = Night(name="Finished domains", started=started, seconds=0, workers="", current=tuple(ready))
        folder = HERE.reports / folder_name(now)
    else:
        folder, last = latest
        trained = tuple(domain for domain in last.trained if domain in ready)
        planned = {planned.row.domain for planned in plan.rows}
        failures = tuple(f for f in last.failures if f.domain in planned and f.domain not in finished)
        left = tuple(domain for domain in last.left if domain in planned and domain not in finished)
        kept = tuple(domain for domain in ready if domain not in trained)
        night = replace(last, trained=trained, current=kept, failures=failures, left=left)
    columns = columns_of(Path(plan.params.night.prompts))
    night = replace(night, commands=ui_commands(), columns=columns)
    return publish_report(told.records, night, folder, told.families), night


def latest_night() -> tuple[Path, Night] | None:
    """The newest report that has a readable record of its night."""
    for path in sorted(HERE.reports.glob(f"*/{NIGHT_NAME}"), reverse=True):
        try:
            return path.parent, load_night(path.parent)
        except NadaError:
            continue
    return None


def folder_name(started: datetime) -> str:
    """Sortable by time."""
    return f"{started:%Y-%m-%d_%H-%M-%S}"


def current_records(plan: Plan) -> list[Record]:
    """Records of the rows whose result is there and current.

    Those without a whole record are left out: of a night that was killed before their pictures found their prompts.
    """
    records = []
    for planned in plan.rows:
        if planned.state == "current":
            with suppress(RecordError):
                records.append(row_folder.read_record(planned.domain))
    return records


def ui_commands() -> dict[str, str]:
    """What -> the line that opens it."""
    return {"MLflow": mlflow_ui_command(), "Prefect": prefect_ui_command()}
