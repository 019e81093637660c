"""MLflow's client: where the store is, one writer at a time, its errors as ours, and the tags by which runs are known.

The store is `.mlflow/` beside params.yaml, or whatever MLFLOW_TRACKING_URI names.
"""

from __future__ import annotations

import getpass
import logging
import os
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nada.errors import OutputError
from tasks.config.project import HERE
from tasks.tracking.entities import Point, flat
from tasks.tracking.sqlite import check_database

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "nada"
METRICS_PER_BATCH = 1000  # MLflow's limit; one call a batch is a hundred times faster than one a step
PARAMS_PER_BATCH = 100  # MLflow's limit
VALUE_LENGTH = 6000  # MLflow's limit for a parameter
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # By default a server that is gone is asked for five minutes by every call; the outbox comes back later anyway.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


_WRITER = threading.Lock()  # SQLite has one writer; rows finish on several threads


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the project's own SQLite store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{HERE.mlflow.resolve() / 'mlflow.db'}"


def ui_command() -> str:
    """The line that opens MLflow's pages on this store."""
    return f"mlflow ui --backend-store-uri {_without_secret(tracking_uri())}"


@contextmanager
def opened_store(uri: str) -> Iterator[MlflowClient]:
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


def experiment_of(client: MlflowClient) -> str:
    """Id of the experiment that nights are recorded in, made at the first one."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    if (found := client.get_experiment_by_name(name)) is not None:
        return str(found.experiment_id)
    own = "MLFLOW_TRACKING_URI" not in os.environ
    location = (HERE.mlflow.resolve() / "artifacts").as_uri() if own else None
    return client.create_experiment(name, artifact_location=location)


def having(tags: Mapping[str, str]) -> str:
    """Runs with all these tags, as a filter."""
    return " and ".join(f"tags.`{name}` = '{text}'" for name, text in tags.items())


def remove_runs(client: MlflowClient, experiment_id: str, query: str) -> None:
    """Move runs to MLflow's bin, from where `mlflow runs restore` brings them back."""
    for run in client.search_runs([experiment_id], query):
        client.delete_run(run.info.run_id)


def place_tags() -> dict[str, str]:
    """Where this project is."""
    return {"nada.host": socket.gethostname(), "nada.project": Path.cwd().as_posix()}


def own_tags(kind: str) -> dict[str, str]:
    """By which this process's runs of a night or a row are known."""
    tags = {"nada.kind": kind, "nada.pid": str(os.getpid()), **place_tags()}
    try:
        return {**tags, "mlflow.user": getpass.getuser()}
    except (OSError, KeyError, ImportError):
        return tags  # a container's user may have no name


def log_params(client: MlflowClient, run_id: str, params: Mapping[str, Any]) -> None:
    """Nested sections as parameters with dotted names."""
    from mlflow.entities import Param

    entries = [Param(name, value[:VALUE_LENGTH]) for name, value in flat(params)]
    for start in range(0, len(entries), PARAMS_PER_BATCH):
        client.log_batch(run_id, params=entries[start : start + PARAMS_PER_BATCH])


def log_points(client: MlflowClient, run_id: str, points: Sequence[Point]) -> None:
    """Points of curves, in a few calls."""
    from mlflow.entities import Metric

    metrics = [Metric(*point) for point in points]
    for start in range(0, len(metrics), METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + METRICS_PER_BATCH])


def now_ms() -> int:
    """Milliseconds since 1970."""
    return round(1000 * time.time())


def _without_secret(uri: str) -> str:
    """A URI without user name and password.

    >>> _without_secret("https://me:secret@host/path")
    'https://***@host/path'
    """
    return re.sub(r"//[^/@\s]+@", "//***@", uri)
