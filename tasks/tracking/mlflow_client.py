"""MLflow's client: one writer at a time, its errors as ours, and the tags by which runs are known."""

from __future__ import annotations

import getpass
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nada.errors import NadaError
from nada.methods.sheets import SUFFIX, as_jpeg
from tasks.config.project import HERE
from tasks.tracking.address import SQLITE, is_own, sqlite_path
from tasks.tracking.entities import Point, flat
from tasks.tracking.refusals import deleted_experiment, refusal
from tasks.tracking.sqlite import check_database, index_tags, make_database, move_artifacts, move_half_made

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT, ARTIFACTS = "nada", "artifacts"
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


@contextmanager
def opened_store(uri: str) -> Iterator[MlflowClient]:
    """The client, one writer at a time.

    Raises:
        StoreError: whatever went wrong inside the block, but for errors that are ours already.
    """
    with asked(uri):
        if (path := sqlite_path(uri)) is not None:
            check_database(path)
        yield _client(uri)


@contextmanager
def asked(uri: str) -> Iterator[None]:
    """One writer at a time; whatever a store and its drivers raise is a refusal of the store's.

    Raises:
        StoreError: see `opened_store`.
    """
    for setting, value in SETTINGS.items():  # what the user has set in the environment stays
        os.environ.setdefault(setting, value)
    import mlflow.exceptions  # noqa: F401 (seconds; it sets levels of its own)

    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # every error reaches us as an exception
    with _WRITER:
        try:
            yield
        except NadaError:
            raise
        except Exception as err:
            raise refusal(err, uri) from err


def prepare_store(uri: str) -> tuple[str, ...]:
    """Make a database that is not there yet, whole; heal the project's own where it was cut short, or moved.

    Returns:
        What it did that somebody may want to know.

    Raises:
        StoreError: it cannot.
    """
    path, notes = sqlite_path(uri), []
    if path is None:
        return ()
    with asked(uri):
        check_database(path)
        if is_own() and path.is_file() and (aside := move_half_made(path)) is not None:
            notes.append(f"{path}: was cut short while it was made, and holds nothing; moved to {aside}, and made anew")
        if not path.is_file():
            make_database(path, _create_database)
        if is_own():
            index_tags(path)
            move_artifacts(path, artifact_location())
    return tuple(notes)


def _create_database(path: Path) -> None:
    """Fill a new SQLite database with MLflow's tables: seconds."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"{SQLITE}{path}", artifact_location())  # type: ignore[no-untyped-call]
    store.engine.dispose()  # the file will have another name


@cache
def _client(uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(uri)


def experiment_of(client: MlflowClient, uri: str) -> str:
    """Id of the experiment that nights are recorded in, made at the first one.

    Raises:
        StoreRefusedError: it was deleted.
    """
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    if (found := client.get_experiment_by_name(name)) is None:
        return client.create_experiment(name, artifact_location=artifact_location() if is_own() else None)
    if found.lifecycle_stage != "active":
        raise deleted_experiment(uri, name, found.experiment_id)
    return str(found.experiment_id)


def artifact_location() -> str:
    """Where the project's own store keeps artifacts; absolute, as MLflow makes whatever it is given."""
    return (HERE.mlflow.resolve() / ARTIFACTS).as_uri()


def having(tags: Mapping[str, str]) -> str:
    """Runs with all these tags, as a filter."""
    return " and ".join(f"tags.`{name}` = '{text}'" for name, text in tags.items())


def remove_runs(client: MlflowClient, experiment_id: str, query: str) -> None:
    """Move runs to MLflow's bin, from where `mlflow runs restore` brings them back."""
    for run in client.search_runs([experiment_id], query):
        client.delete_run(run.info.run_id)


def place_tags() -> dict[str, str]:
    """Where this project is."""
    project = Path.cwd().as_posix().encode(errors="backslashreplace").decode()  # names of files need not be UTF-8
    return {"nada.host": socket.gethostname(), "nada.project": project.replace("'", "%27")}  # filters quote with '


def own_tags(kind: str) -> dict[str, str]:
    """By which this process's runs of a night or a row are known."""
    tags = {"nada.kind": kind, "nada.pid": str(os.getpid()), **place_tags()}
    try:
        return {**tags, "mlflow.user": getpass.getuser()}
    except (OSError, KeyError, ImportError):
        return tags  # a container's user may have no name


def set_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Tags of a run, in one call."""
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(name, text) for name, text in tags.items()])


def log_params(
    client: MlflowClient, run_id: str, params: Mapping[str, Any], known: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Nested sections as parameters with dotted names, those aside that the run has."""
    from mlflow.entities import Param

    named: dict[str, str] = {}
    for name, value in flat(params):
        while name in named:  # names that differ in what MLflow does not accept
            name += "_"
        named[name] = value[:VALUE_LENGTH]
    entries = [Param(name, value) for name, value in named.items() if name not in known]
    for start in range(0, len(entries), PARAMS_PER_BATCH):
        client.log_batch(run_id, params=entries[start : start + PARAMS_PER_BATCH])


def log_points(client: MlflowClient, run_id: str, points: Sequence[Point]) -> None:
    """Points of curves, in a few calls."""
    from mlflow.entities import Metric

    metrics = [Metric(*point) for point in points]
    for start in range(0, len(metrics), METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + METRICS_PER_BATCH])


def log_file(client: MlflowClient, run_id: str, path: Path) -> None:
    """A file of a row; a WebP as a JPEG, which MLflow's UI can show."""
    if path.suffix != SUFFIX or (jpeg := as_jpeg(path)) is None:
        client.log_artifact(run_id, str(path))
        return
    with TemporaryDirectory(prefix="nada-mlflow-") as folder:
        shown = Path(folder) / path.with_suffix(".jpg").name
        shown.write_bytes(jpeg)
        client.log_artifact(run_id, str(shown))


def now_ms() -> int:
    """Milliseconds since 1970."""
    return round(1000 * time.time())
