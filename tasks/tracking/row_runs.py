"""The runs of rows in MLflow: there from the first step, and whole once the row is.

A row has one run, however often its process was killed: the night that goes on with it goes on with its run as well.
Weights are not copied into the store: their path and sha256 are tags, and of the registered model.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nada.methods.base import PROBES_NAME, TRACE_NAME
from tasks.config.project import HERE
from tasks.config.row import Row
from tasks.plan.planned_row import PlannedRow
from tasks.store.record import Record
from tasks.store.row_folder import METRICS_NAME, sheet_path
from tasks.tracking.datasets import log_dataset, pictures_of
from tasks.tracking.entities import Point, curves, final_points, hash_tags, milliseconds, verdict_tags
from tasks.tracking.mlflow_client import (
    having,
    log_file,
    log_params,
    log_points,
    now_ms,
    opened_store,
    own_tags,
    place_tags,
    set_tags,
)
from tasks.tracking.mlflow_store import NightRun, row_tags
from tasks.tracking.model_registry import is_best, register
from tasks.tracking.recorded_runs import forget, remember, row_id
from tasks.variants.names import variant_of
from tasks.variants.published import renamed

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

REASON_LENGTH = 5000  # a tag holds 8000
ARTIFACTS = (METRICS_NAME, TRACE_NAME, PROBES_NAME)
LOSS = "train/loss"
PICTURES = "pictures"
OPEN = ("RUNNING", "KILLED")
"""Statuses of a run that a later night goes on with."""


@dataclass(frozen=True)
class BegunRun:
    """The run of a row in the making."""

    run_id: str
    steps: frozenset[int]
    """Whose loss it holds already."""


def begin_row(night: NightRun, planned: PlannedRow) -> BegunRun:
    """The run of a row that is being made: the one that an earlier night left open, or a new one.

    Raises:
        StoreError: the store cannot be written; calling again makes no second run.
    """
    row, keys = planned.row, planned.keys
    tags = {"nada.domain": row.domain, "nada.key": keys.making, "nada.evaluation": keys.evaluation}
    with opened_store(night.tracking_uri) as client:
        if (left := next(iter(_open_runs(client, night, row.domain, keys.making)), None)) is not None:
            _go_on(client, night, left, tags)
            return BegunRun(left.info.run_id, _steps(client, left))
        run_id = _child(client, night, tags, now_ms())
        settings = planned.config.model_dump(mode="json")
        log_params(client, run_id, _params(row, planned.seed, planned.method_object.name, settings))
        log_dataset(client, run_id, night.prompts)
    return BegunRun(run_id, frozenset())


def show_row(
    night: NightRun, run_id: str, losses: Sequence[tuple[int, float, int]], picture: tuple[int, bytes] | None
) -> None:
    """What a row has shown since it was last told of.

    Args:
        night: its parent.
        run_id: from `begin_row`.
        losses: step, loss, and when it was, in milliseconds since 1970.
        picture: the steps behind it, and a JPEG.

    Raises:
        StoreError: the store cannot be written.
    """
    from PIL import Image

    with opened_store(night.tracking_uri) as client:
        log_points(client, run_id, [(LOSS, loss, when, step) for step, loss, when in losses])
        if picture is not None:
            step, jpeg = picture
            image = Image.open(io.BytesIO(jpeg))
            client.log_image(run_id, image, key=PICTURES, step=step, synchronous=True)


def leave_runs(night: NightRun, run_ids: Iterable[str]) -> None:
    """Close runs that are broken off: none seems to run for ever, and a later night goes on with those of rows.

    Raises:
        StoreError: the store cannot be written.
    """
    with opened_store(night.tracking_uri) as client:
        for run_id in run_ids:
            client.set_terminated(run_id, "KILLED")


def record_row(night: NightRun, record: Record, folder: Path) -> str:
    """One finished child run: parameters, curves of training and probes, scores, the verdict, the grid, hashes, and a
    version of the registered model. Returns its id.

    It completes the run that the row has had from its first step, and replaces what else this project recorded of the
    same domain, made and judged like this, whole or half. A row that was judged anew has a run for each time.

    Raises:
        StoreError: the store cannot be written; calling again makes no second run.
    """
    making, row = record.making, row_id(record)
    ended = milliseconds(record.finished)
    started = ended - round(1000 * record.seconds)
    tags = {**row_tags(record), **hash_tags(record, folder), **verdict_tags(record)}
    with opened_store(night.tracking_uri) as client:
        forget(HERE.mlflow, night.store, row)
        left = _open_runs(client, night, record.domain, making.key)
        if left:
            run_id, told, known = str(left[0].info.run_id), _steps(client, left[0]), left[0].data.params
            _go_on(client, night, left[0], tags)
        else:
            run_id, told, known = _child(client, night, tags, started), frozenset(), {}
        own = having({**row_tags(record), **place_tags()})
        for other in client.search_runs([night.experiment_id], f"{own} and attributes.status != 'FAILED'"):
            if other.info.run_id != run_id:
                client.delete_run(other.info.run_id)
        params = _params(record.row, making.seed, making.method, making.config)
        log_params(client, run_id, params, known)
        for dataset in (night.prompts, *pictures_of(record)):
            log_dataset(client, run_id, dataset)
        log_points(client, run_id, [*_curves(folder, started, ended, told), *final_points(record, ended)])
        for path in (sheet_path(folder), *(folder / name for name in (*ARTIFACTS, *making.pictures))):
            if path.is_file():
                log_file(client, run_id, path)
        if not variant_of(record.domain):
            register(client, run_id, record)
        client.set_terminated(run_id, "FINISHED", end_time=ended)
    remember(HERE.mlflow, night.store, row)
    return run_id


def register_taken(night: NightRun, record: Record, domain: str) -> None:
    """Let the best version of a domain of several rows be the row that was taken; nothing while that is not recorded.

    Args:
        night: any.
        record: of the row.
        domain: its domain.

    Raises:
        StoreError: the store cannot be written; calling again makes no second version.
    """
    taken = renamed(record, domain)
    with opened_store(night.tracking_uri) as client:
        if is_best(client, taken):
            return
        query = f"{having({**row_tags(record), **place_tags()})} and attributes.status = 'FINISHED'"
        for run in client.search_runs([night.experiment_id], query, max_results=1):
            register(client, run.info.run_id, taken)


def record_failure(night: NightRun, row: Row, key: str, error: str) -> str:
    """The row's run ends FAILED, with the reason as tag and note. Returns its id.

    Raises:
        StoreError: the store cannot be written; calling again makes no second run.
    """
    reason = {"nada.error": error[:REASON_LENGTH], "mlflow.note.content": error[:REASON_LENGTH]}
    tags = {"nada.domain": row.domain, "nada.key": key, **reason}
    with opened_store(night.tracking_uri) as client:
        left = _open_runs(client, night, row.domain, key)
        if left:
            run_id = str(left[0].info.run_id)
            _go_on(client, night, left[0], tags)
        else:
            run_id = _child(client, night, tags, now_ms())
            log_params(client, run_id, asdict(row))
        client.set_terminated(run_id, "FAILED")
    return run_id


def _open_runs(client: MlflowClient, night: NightRun, domain: str, key: str) -> list[Run]:
    """Runs of this project's row that came to no end, the latest first."""
    own = having({"nada.domain": domain, "nada.key": key, **place_tags()})
    found = client.search_runs(
        [night.experiment_id], f"{own} and attributes.status != 'FINISHED' and attributes.status != 'FAILED'"
    )
    return [run for run in found if run.info.status in OPEN]


def _go_on(client: MlflowClient, night: NightRun, left: Run, tags: Mapping[str, str]) -> None:
    """Let a run that was left open be of this night and process."""
    client.update_run(left.info.run_id, status="RUNNING")
    set_tags(client, left.info.run_id, {**own_tags("row"), "mlflow.parentRunId": night.run_id, **tags})


def _steps(client: MlflowClient, run: Run) -> frozenset[int]:
    """Steps whose loss a run tells."""
    if LOSS not in run.data.metrics:
        return frozenset()
    return frozenset(point.step for point in client.get_metric_history(run.info.run_id, LOSS))


def _curves(folder: Path, started: int, ended: int, told: frozenset[int]) -> Iterable[Point]:
    """Of training and probes, without the losses that were told while the row ran."""
    for point in curves(folder / TRACE_NAME, "train", started, ended):
        if point[0] != LOSS or point[3] not in told:
            yield point
    yield from curves(folder / PROBES_NAME, "probe", started, ended)


def _params(row: Row, seed: int, method: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {**asdict(row), "seed": seed, method: config}


def _child(client: MlflowClient, night: NightRun, tags: Mapping[str, str], start_time: int) -> str:
    every = {**own_tags("row"), "mlflow.parentRunId": night.run_id, **tags}
    run = client.create_run(night.experiment_id, start_time=start_time, run_name=tags["nada.domain"], tags=every)
    return str(run.info.run_id)
