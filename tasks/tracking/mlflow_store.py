"""The runs of nights in MLflow, the parents of what `tasks.tracking.row_runs` writes.

The store is `.mlflow/` beside params.yaml, or whatever MLFLOW_TRACKING_URI names. mlflow is imported in functions
alone: it is slow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nada.atomic import process_lives
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.row import Row
from tasks.store.record import Record
from tasks.tracking.address import note_experiment, tracking_uri
from tasks.tracking.datasets import Dataset, log_dataset, prompts_of
from tasks.tracking.mlflow_client import (
    experiment_of,
    having,
    log_params,
    log_points,
    now_ms,
    opened_store,
    own_tags,
    prepare_store,
    remove_runs,
)
from tasks.tracking.recorded_runs import known_rows, note_end, noted_ends, remember, row_id, store_name

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(kw_only=True)
class NightRun:
    """The parent run of one night."""

    run_id: str
    experiment_id: str
    name: str
    tracking_uri: str
    store: str
    """`tasks.tracking.recorded_runs.store_name` of its experiment."""
    prompts: Dataset
    """The night's rows, those that joined it included, which are a dataset of each row's run as well."""
    notes: tuple[str, ...] = ()
    """What happened to the store on the way."""


def make_ready() -> tuple[str, ...]:
    """Everything that takes seconds before a night's run is opened; what happened to the store on the way.

    Raises:
        StoreRefusedError, StoreError: as for `start_night`.
    """
    uri = tracking_uri()
    notes = prepare_store(uri)
    with opened_store(uri):
        return notes


def start_night(
    params: Params,
    rows: Sequence[Row],
    name: str,
    tags: Mapping[str, str] | None = None,
    started: datetime | None = None,
) -> NightRun:
    """Open the night's parent run; runs whose process is gone are closed first, as KILLED or as `end_night` said.

    The first call makes the database (seconds).

    Args:
        params: logged key by key.
        rows: logged as the dataset `prompts`.
        name: of the night, also shown in the UI.
        tags: further tags, such as hashes of the pretrained weights.
        started: when the night began, if not now.

    Raises:
        StoreRefusedError: the store takes no run until somebody does what the message says.
        StoreError: the store cannot be reached or written now; calling again makes no second run.
    """
    uri = tracking_uri()
    notes = prepare_store(uri)
    with opened_store(uri) as client:
        experiment_id = experiment_of(client, uri)
        _sweep(client, experiment_id)
        own = own_tags("night")
        unfinished = f"attributes.run_name = '{name}' and attributes.status = 'RUNNING'"
        remove_runs(client, experiment_id, f"{unfinished} and tags.`nada.pid` = '{own['nada.pid']}'")
        start_ms = None if started is None else round(1000 * started.timestamp())
        run = client.create_run(experiment_id, start_time=start_ms, run_name=name, tags={**own, **(tags or {})})
        log_params(client, run.info.run_id, params.model_dump(mode="json"))
        prompts = _log_prompts(client, run.info.run_id, params, rows)
        store = store_name(uri, experiment_id, client.get_experiment(experiment_id).creation_time)
    note_experiment(uri, experiment_id)
    return NightRun(
        run_id=run.info.run_id,
        experiment_id=experiment_id,
        name=name,
        tracking_uri=uri,
        store=store,
        prompts=prompts,
        notes=notes,
    )


def add_rows(night: NightRun, params: Params, rows: Sequence[Row]) -> None:
    """Let a night's prompts be these, as rows joined it.

    Raises:
        StoreError: the store cannot be written.
    """
    with opened_store(night.tracking_uri) as client:
        night.prompts = _log_prompts(client, night.run_id, params, rows)


def _log_prompts(client: MlflowClient, run_id: str, params: Params, rows: Sequence[Row]) -> Dataset:
    prompts, content = prompts_of(params.night.prompts, rows)
    log_dataset(client, run_id, prompts)
    client.log_dict(run_id, content, "prompts.json")
    return prompts


def unrecorded(night: NightRun, records: Iterable[Record]) -> list[Record]:
    """Those of the rows that no finished run tells of, as a killed night or `dvc pull` leaves them.

    Raises:
        StoreError: the store cannot be read.
    """
    known = known_rows(HERE.mlflow, night.store)
    missing = []
    for record in records:
        row = row_id(record)
        if row not in known and is_recorded(night, record):
            remember(HERE.mlflow, night.store, row)
        elif row not in known:
            missing.append(record)
    return missing


def is_recorded(night: NightRun, record: Record) -> bool:
    """Whether the store holds a finished run of this domain, made and judged like this, from whichever night.

    Raises:
        StoreError: the store cannot be read.
    """
    with opened_store(night.tracking_uri) as client:
        query = f"{having(row_tags(record))} and attributes.status = 'FINISHED'"
        return bool(client.search_runs([night.experiment_id], query, max_results=1))


def finish_night(
    night: NightRun, leaderboard: Sequence[Mapping[str, Any]], failed: bool, artifacts: Sequence[Path] = ()
) -> None:
    """Leaderboard and artifacts on the parent, which ends as `end_night` says.

    Args:
        night: the parent.
        leaderboard: one flat mapping a domain (`tasks.report.page.metrics.leaderboard`).
        failed: whether a row failed.
        artifacts: files to keep with the night, such as its report.

    Raises:
        StoreError: the store cannot be written.
    """
    with opened_store(night.tracking_uri) as client:
        if leaderboard:
            columns = list(dict.fromkeys(itertools.chain.from_iterable(leaderboard)))
            table = {column: [row.get(column) for row in leaderboard] for column in columns}
            client.log_table(night.run_id, table, "leaderboard.json")
        log_points(client, night.run_id, [("num_domains", len(leaderboard), now_ms(), 0)])
        for path in artifacts:
            if path.is_file():
                client.log_artifact(night.run_id, str(path))
        client.set_terminated(night.run_id, _end_status(failed))


def end_night(name: str, failed: bool) -> None:
    """Note how a night ends before the store is told: where that refuses to the last, the next night tells it.

    Args:
        name: of the night.
        failed: whether a row failed.
    """
    note_end(HERE.mlflow, name, _end_status(failed), now_ms())


def _end_status(failed: bool) -> str:
    return "FAILED" if failed else "FINISHED"


def _sweep(client: MlflowClient, experiment_id: str) -> None:
    """Close runs that were left RUNNING, where they ran on this machine and their process is gone.

    A night that came to its end has that status and time; anything else was killed. In this project no other night
    runs now, so that a process with such an id is another one.
    """
    own, ends = own_tags("night"), noted_ends(HERE.mlflow)
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        theirs = {name: run.data.tags.get(name, "") for name in own}
        pid = theirs["nada.pid"]
        if theirs["nada.host"] != own["nada.host"] or not pid.isdigit() or pid == own["nada.pid"]:
            continue
        if theirs["nada.project"] == own["nada.project"] or not process_lives(int(pid)):
            status, ended = ends.get(run.info.run_name, ("KILLED", None))
            client.set_terminated(run.info.run_id, status, end_time=ended)


def row_tags(record: Record) -> dict[str, str]:
    """What a row's run tells of."""
    return {
        "nada.domain": record.domain,
        "nada.key": record.making.key,
        "nada.evaluation": record.evaluation.key,
    }
