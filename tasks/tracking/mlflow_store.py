"""MLflow: one parent run a night, one child run a domain. The only importer of mlflow, inside functions: it is slow.

The store is `.mlflow/` beside params.yaml, or whatever MLFLOW_TRACKING_URI names. Weights are not copied into it:
their path and sha256 are tags.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nada.atomic import process_lives
from nada.methods.base import PROBES_NAME, TRACE_NAME
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.row import Row
from tasks.store.record import NUM_STYLE, STYLE, Record
from tasks.store.row_folder import METRICS_NAME, sheet_path
from tasks.tracking.address import tracking_uri
from tasks.tracking.entities import curves, final_points, hash_tags, milliseconds
from tasks.tracking.mlflow_client import (
    experiment_of,
    having,
    log_file,
    log_params,
    log_points,
    now_ms,
    opened_store,
    own_tags,
    place_tags,
    prepare_store,
    remove_runs,
)
from tasks.tracking.recorded_runs import forget, known_rows, note_end, noted_ends, remember, row_id, store_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

DIGEST_LENGTH = 36  # of a dataset, at most
REASON_LENGTH = 5000  # a tag holds 8000
ARTIFACTS = (METRICS_NAME, TRACE_NAME, PROBES_NAME)


@dataclass(frozen=True, kw_only=True)
class NightRun:
    """The parent run of one night."""

    run_id: str
    experiment_id: str
    name: str
    tracking_uri: str
    store: str
    """`tasks.tracking.recorded_runs.store_name` of its experiment."""
    notes: tuple[str, ...] = ()
    """What happened to the store on the way."""


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
        _log_prompts(client, run.info.run_id, params.night.prompts, rows)
        store = store_name(uri, experiment_id, client.get_experiment(experiment_id).creation_time)
    return NightRun(
        run_id=run.info.run_id, experiment_id=experiment_id, name=name, tracking_uri=uri, store=store, notes=notes
    )


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
        query = f"{having(_row_tags(record))} and attributes.status = 'FINISHED'"
        return bool(client.search_runs([night.experiment_id], query, max_results=1))


def record_row(night: NightRun, record: Record, folder: Path) -> str:
    """One finished child run: parameters, curves of training and probes, scores, the grid, hashes. Returns its id.

    It replaces what this project recorded of the same domain, made and judged like this, whole or half. A row that
    was judged anew has a run for each time.

    Raises:
        StoreError: the store cannot be written; calling again makes no second run.
    """
    making, row = record.making, row_id(record)
    ended = milliseconds(record.finished)
    started = ended - round(1000 * record.seconds)
    with opened_store(night.tracking_uri) as client:
        forget(HERE.mlflow, night.store, row)
        own = having({**_row_tags(record), **place_tags()})
        remove_runs(client, night.experiment_id, f"{own} and attributes.status != 'FAILED'")
        run_id = _child(client, night, {**_row_tags(record), **hash_tags(record, folder)}, started)
        log_params(client, run_id, {**asdict(record.row), "seed": making.seed, making.method: making.config})
        _log_style(client, run_id, record)
        trace = curves(folder / TRACE_NAME, "train", started, ended)
        probes = curves(folder / PROBES_NAME, "probe", started, ended)
        log_points(client, run_id, [*trace, *probes, *final_points(record, ended)])
        for path in (sheet_path(folder), *(folder / name for name in (*ARTIFACTS, *making.pictures))):
            if path.is_file():
                log_file(client, run_id, path)
        client.set_terminated(run_id, "FINISHED", end_time=ended)
    remember(HERE.mlflow, night.store, row)
    return run_id


def record_failure(night: NightRun, row: Row, key: str, error: str) -> str:
    """One FAILED child run, with the reason as tag and note. Returns its id.

    Raises:
        StoreError: the store cannot be written; calling again makes no second run.
    """
    reason = {"nada.error": error[:REASON_LENGTH], "mlflow.note.content": error[:REASON_LENGTH]}
    with opened_store(night.tracking_uri) as client:
        tags = {"nada.domain": row.domain, "nada.key": key}
        own = having({**tags, **place_tags()})
        remove_runs(client, night.experiment_id, f"{own} and attributes.status = 'RUNNING'")
        run_id = _child(client, night, {**tags, **reason}, now_ms())
        log_params(client, run_id, asdict(row))
        client.set_terminated(run_id, "FAILED")
    return run_id


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


def _row_tags(record: Record) -> dict[str, str]:
    """What a row's run tells of."""
    return {
        "nada.domain": record.domain,
        "nada.key": record.making.key,
        "nada.evaluation": record.evaluation.key,
    }


def _child(client: MlflowClient, night: NightRun, tags: Mapping[str, str], start_time: int) -> str:
    every = {**own_tags("row"), "mlflow.parentRunId": night.run_id, **tags}
    run = client.create_run(night.experiment_id, start_time=start_time, run_name=tags["nada.domain"], tags=every)
    return str(run.info.run_id)


def _log_prompts(client: MlflowClient, run_id: str, path: str, rows: Sequence[Row]) -> None:
    """The rows as a dataset of the night, so that the UI tells which prompts it had."""
    content = json.dumps([asdict(row) for row in rows])
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    _log_dataset(client, run_id, "prompts", path, sha256, {"num_rows": len(rows)})
    client.log_dict(run_id, {"rows": [asdict(row) for row in rows]}, "prompts.json")


def _log_style(client: MlflowClient, run_id: str, record: Record) -> None:
    """The pictures that a row learned from as its dataset."""
    told = record.making.provenance
    if record.row.style_images is not None and STYLE in told:
        profile = {"num_images": int(told[NUM_STYLE])}
        _log_dataset(client, run_id, "style_images", record.row.style_images, told[STYLE], profile)


def _log_dataset(
    client: MlflowClient, run_id: str, name: str, path: str, sha256: str, profile: Mapping[str, int]
) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=name,
        digest=sha256[:DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": path}),
        profile=json.dumps(profile),
    )
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", name)])])
