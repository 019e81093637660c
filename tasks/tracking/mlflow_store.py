"""MLflow: one parent run a night, one child run a domain. The only importer of mlflow, inside functions: it is slow.

The store is `.mlflow/` beside params.yaml, or whatever MLFLOW_TRACKING_URI names. Weights are not copied into it:
their path and sha256 are tags.
"""

from __future__ import annotations

import getpass
import hashlib
import itertools
import json
import logging
import os
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nada.errors import OutputError
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.prompts import Row
from tasks.store.row_folder import process_lives
from tasks.tracking.entities import Point, curves, ended_ms, final_points, flat, hash_tags
from tasks.tracking.recorded_runs import forget, known_keys, note_end, noted_ends, remember, store_name
from tasks.tracking.sqlite import check_database

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "nada"
METRICS_PER_BATCH = 1000  # MLflow's limit; one call a batch is a hundred times faster than one a step
PARAMS_PER_BATCH = 100  # MLflow's limit
VALUE_LENGTH = 6000  # MLflow's limit for a parameter
REASON_LENGTH = 5000  # a tag holds 8000
ARTIFACTS = ("samples.png", "metrics.json", "trace.csv", "probes.csv")
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # By default a server that is gone is asked for five minutes by every call; the outbox comes back later anyway.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
PLACE_TAGS = ("nada.host", "nada.project")
_WRITER = threading.Lock()  # SQLite has one writer; rows finish on several threads


@dataclass(frozen=True, kw_only=True)
class NightRun:
    """The parent run of one night."""

    run_id: str
    experiment_id: str
    name: str
    tracking_uri: str
    store: str
    """`tasks.tracking.recorded_runs.store_name` of its experiment."""


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the project's own SQLite store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{HERE.mlflow.resolve() / 'mlflow.db'}"


def ui_command() -> str:
    """The line that opens MLflow's pages on this store."""
    return f"mlflow ui --backend-store-uri {_without_secret(tracking_uri())}"


def start_night(
    params: Params,
    rows: Sequence[Row],
    name: str,
    tags: Mapping[str, str] | None = None,
    started: datetime | None = None,
) -> NightRun:
    """Open the night's parent run; runs whose process is gone are closed first, as KILLED or as `end_night` said.

    The first call creates the database (seconds), so it comes before anything runs in parallel.

    Args:
        params: logged key by key.
        rows: logged as the dataset `prompts`.
        name: of the night, also shown in the UI.
        tags: further tags, such as hashes of the pretrained weights.
        started: when the night began, if not now.

    Raises:
        OutputError: the store cannot be reached or written; calling again makes no second run.
    """
    uri = tracking_uri()
    with _store(uri) as client:
        experiment_id = _experiment(client)
        _sweep(client, experiment_id)
        own = _own_tags("night")
        unfinished = f"attributes.run_name = '{name}' and attributes.status = 'RUNNING'"
        _remove(client, experiment_id, f"{unfinished} and tags.`nada.pid` = '{own['nada.pid']}'")
        start_ms = None if started is None else round(1000 * started.timestamp())
        run = client.create_run(experiment_id, start_time=start_ms, run_name=name, tags={**own, **(tags or {})})
        _log_params(client, run.info.run_id, params.model_dump(mode="json"))
        _log_prompts(client, run.info.run_id, params.night.prompts, rows)
        store = store_name(uri, experiment_id, client.get_experiment(experiment_id).creation_time)
    return NightRun(run_id=run.info.run_id, experiment_id=experiment_id, name=name, tracking_uri=uri, store=store)


def unrecorded(night: NightRun, keys: Iterable[str]) -> list[str]:
    """Those of the row keys that no finished run tells of, as a killed night or `dvc pull` leaves them.

    Raises:
        OutputError: the store cannot be read.
    """
    known = known_keys(HERE.mlflow, night.store)
    missing = []
    for key in keys:
        if key not in known and is_recorded(night, key):
            remember(HERE.mlflow, night.store, key)
        elif key not in known:
            missing.append(key)
    return missing


def is_recorded(night: NightRun, key: str) -> bool:
    """Whether the store holds a finished run of this row key, of this night or an earlier one.

    Raises:
        OutputError: the store cannot be read.
    """
    with _store(night.tracking_uri) as client:
        query = f"tags.`nada.key` = '{key}' and attributes.status = 'FINISHED'"
        return bool(client.search_runs([night.experiment_id], query, max_results=1))


def record_row(night: NightRun, record: Mapping[str, Any], folder: Path) -> str:
    """One finished child run: parameters, curves of training and probes, scores, the grid, hashes. Returns its id.

    It replaces what this project recorded of the same row key before, whole or half.

    Raises:
        OutputError: the store cannot be written; calling again makes no second run.
    """
    ended = ended_ms(record)
    started = ended - round(1000 * float(record["seconds"]["total"]))
    tags = hash_tags(record, folder)
    with _store(night.tracking_uri) as client:
        forget(HERE.mlflow, night.store, record["key"])
        _remove(client, night.experiment_id, f"{_of_row(record['key'])} and attributes.status != 'FAILED'")
        run_id = _child(client, night, record["domain"], record["key"], tags, started)
        _log_params(client, run_id, {**record["row"], "seed": record["seed"], "adapt": record["adapt"]})
        trace = curves(folder / "trace.csv", "train", started, ended)
        probes = curves(folder / "probes.csv", "probe", started, ended)
        _log_points(client, run_id, [*trace, *probes, *final_points(record, ended)])
        for name in ARTIFACTS:
            if (folder / name).is_file():
                client.log_artifact(run_id, str(folder / name))
        client.set_terminated(run_id, "FINISHED", end_time=ended)
    remember(HERE.mlflow, night.store, record["key"])
    return run_id


def record_failure(night: NightRun, row: Row, key: str, error: str) -> str:
    """One FAILED child run, with the reason as tag and note. Returns its id.

    Raises:
        OutputError: the store cannot be written; calling again makes no second run.
    """
    reason = {"nada.error": error[:REASON_LENGTH], "mlflow.note.content": error[:REASON_LENGTH]}
    with _store(night.tracking_uri) as client:
        _remove(client, night.experiment_id, f"{_of_row(key)} and attributes.status = 'RUNNING'")
        run_id = _child(client, night, row.domain, key, reason, _now())
        _log_params(client, run_id, asdict(row))
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
        OutputError: the store cannot be written.
    """
    with _store(night.tracking_uri) as client:
        if leaderboard:
            columns = list(dict.fromkeys(itertools.chain.from_iterable(leaderboard)))
            table = {column: [row.get(column) for row in leaderboard] for column in columns}
            client.log_table(night.run_id, table, "leaderboard.json")
        _log_points(client, night.run_id, [("num_domains", len(leaderboard), _now(), 0)])
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
    note_end(HERE.mlflow, name, _end_status(failed), _now())


def _end_status(failed: bool) -> str:
    return "FAILED" if failed else "FINISHED"


@contextmanager
def _store(uri: str) -> Iterator[MlflowClient]:
    """The client, one writer at a time; its errors become ours, without what a URI may hold of secrets."""
    for setting, value in SETTINGS.items():  # what the user has set in the environment stays
        os.environ.setdefault(setting, value)
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    for noisy in ("alembic", "mlflow"):  # after the import, which sets levels of its own
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # every error reaches us as an exception
    with _WRITER:
        try:
            if uri == f"sqlite:///{HERE.mlflow.resolve() / 'mlflow.db'}":
                HERE.mlflow.mkdir(parents=True, exist_ok=True)
            if uri.startswith("sqlite:///"):
                check_database(Path(uri.removeprefix("sqlite:///")))
            yield _client(uri)
        except (MlflowException, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError) as err:
            lines = str(err).strip().splitlines() or [type(err).__name__]
            raise OutputError(f"MLflow at {_without_secret(uri)}: {_without_secret(lines[0])}") from err


@cache
def _client(uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(uri)


def _experiment(client: MlflowClient) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    if (found := client.get_experiment_by_name(name)) is not None:
        return str(found.experiment_id)
    own = "MLFLOW_TRACKING_URI" not in os.environ
    location = (HERE.mlflow.resolve() / "artifacts").as_uri() if own else None
    return client.create_experiment(name, artifact_location=location)


def _sweep(client: MlflowClient, experiment_id: str) -> None:
    """Close runs that were left RUNNING, where they ran on this machine and their process is gone.

    A night that came to its end has that status and time; anything else was killed. In this project no other night
    runs now, so that a process with such an id is another one.
    """
    own, ends = _own_tags("night"), noted_ends(HERE.mlflow)
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        theirs = {name: run.data.tags.get(name, "") for name in own}
        pid = theirs["nada.pid"]
        if theirs["nada.host"] != own["nada.host"] or not pid.isdigit() or pid == own["nada.pid"]:
            continue
        if theirs["nada.project"] == own["nada.project"] or not process_lives(int(pid)):
            status, ended = ends.get(run.info.run_name, ("KILLED", None))
            client.set_terminated(run.info.run_id, status, end_time=ended)


def _of_row(key: str) -> str:
    """The runs that this project has recorded of a row key, as a filter."""
    own = _own_tags("row")
    return " and ".join([f"tags.`nada.key` = '{key}'", *(f"tags.`{name}` = '{own[name]}'" for name in PLACE_TAGS)])


def _remove(client: MlflowClient, experiment_id: str, query: str) -> None:
    """Move runs to MLflow's bin, from where `mlflow runs restore` brings them back."""
    for run in client.search_runs([experiment_id], query):
        client.delete_run(run.info.run_id)


def _own_tags(kind: str) -> dict[str, str]:
    place = {"nada.host": socket.gethostname(), "nada.project": Path.cwd().as_posix()}
    tags = {"nada.kind": kind, "nada.pid": str(os.getpid()), **place}
    try:
        return {**tags, "mlflow.user": getpass.getuser()}
    except (OSError, KeyError, ImportError):
        return tags  # a container's user may have no name


def _child(
    client: MlflowClient, night: NightRun, domain: str, key: str, tags: Mapping[str, str], start_time: int
) -> str:
    own = {**_own_tags("row"), "mlflow.parentRunId": night.run_id, "nada.domain": domain, "nada.key": key}
    run = client.create_run(night.experiment_id, start_time=start_time, run_name=domain, tags={**own, **tags})
    return str(run.info.run_id)


def _log_params(client: MlflowClient, run_id: str, params: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    entries = [Param(name, value[:VALUE_LENGTH]) for name, value in flat(params)]
    for start in range(0, len(entries), PARAMS_PER_BATCH):
        client.log_batch(run_id, params=entries[start : start + PARAMS_PER_BATCH])


def _log_points(client: MlflowClient, run_id: str, points: Sequence[Point]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(*point) for point in points]
    for start in range(0, len(metrics), METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + METRICS_PER_BATCH])


def _log_prompts(client: MlflowClient, run_id: str, path: str, rows: Sequence[Row]) -> None:
    """The rows as a dataset of the night, so that the UI tells which prompts it had."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    content = json.dumps([asdict(row) for row in rows])
    dataset = Dataset(
        name="prompts",
        digest=hashlib.sha256(content.encode()).hexdigest()[:36],
        source_type="local",
        source=json.dumps({"uri": path}),
        profile=json.dumps({"num_rows": len(rows)}),
    )
    tag = InputTag("mlflow.data.context", "prompts")
    client.log_inputs(run_id, [DatasetInput(dataset, [tag])])
    client.log_dict(run_id, {"rows": [asdict(row) for row in rows]}, "prompts.json")


def _now() -> int:
    return round(1000 * time.time())


def _without_secret(uri: str) -> str:
    """A URI without user name and password.

    >>> _without_secret("https://me:secret@host/path")
    'https://***@host/path'
    """
    return re.sub(r"//[^/@\s]+@", "//***@", uri)
