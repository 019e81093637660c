"""What was done on another machine comes back: whole or not at all, into the row's folder here. Imports no torch."""

from __future__ import annotations

import hashlib
import shutil
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nada.atomic import replacing, writing
from nada.errors import NadaError, WorkerError
from tasks.config.project import HERE
from tasks.row.job import EvaluateJob, GroupJob, Job, RetrieveJob, RowJob
from tasks.store import prepared, row_folder
from tasks.store.record import (
    EVALUATION_NAME,
    MAKING_NAME,
    RETRIEVAL_NAME,
    Evaluation,
    Making,
    Retrieval,
    read_entry,
    write_entry,
)
from tasks.workers.news import RowEnded
from tasks.workers.pool import RowFailedError
from tasks.workers.ray.transfer import mirrored

Files = Mapping[str, bytes]
"""Name in the row's folder, or path in the mirror, -> content."""


def publish(job: GroupJob, ended: RowEnded, files: Files) -> RowEnded:
    """Publish a made row of a group, as a worker here does before it tells of it.

    Args:
        job: as it was before it was packed.
        ended: what the other machine's worker tells.
        files: the row's folder.

    Returns:
        What is to be told: with the record as it is here, or with the error that kept it away; the others go on.
    """
    row = next(row for row in job.rows if row.domain == ended.domain)
    try:
        return RowEnded(domain=row.domain, result=publish_row(row, files))
    except Exception as err:
        kind = WorkerError if isinstance(err, WorkerError) else type(err)
        return RowEnded(domain=row.domain, error=(kind.__name__, str(err), traceback.format_exc()))


def publish_row(row: RowJob, files: Files) -> Making:
    """Publish the folder of a row that was made elsewhere; returns its record, with the paths of this machine.

    Raises:
        RowFailedError: it is not the whole row.
        OutputError: it cannot be written.
    """
    partial = row_folder.partial_dir(row.domain)
    try:
        with writing(partial):
            for name, content in files.items():
                (partial / Path(name).name).write_bytes(content)
        if not row_folder.is_made(partial, row.domain, row.keys.making):
            raise _not_whole(row.domain)
        made = read_entry(partial / MAKING_NAME, Making)
        here = {"row": row.row, "config": row.config.model_dump(mode="json")}  # with the paths of this machine
        making = row_folder.write_making(partial, made.model_copy(update=here))
        row_folder.publish(partial, row.domain)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    row_folder.state_path(row.domain).unlink(missing_ok=True)  # of an earlier night without Ray
    return making


def unpack(job: Job, result: Any, files: Files) -> Any:
    """Put the files of a job that was done elsewhere into the folders of their rows; returns its result.

    Args:
        job: as it was before it was packed.
        result: of the job's function.
        files: that it wrote.

    Raises:
        RowFailedError: they are not all there.
        OutputError: they cannot be written.
    """
    match job:
        case EvaluateJob():
            put_evaluation(job, result, {Path(path).name: content for path, content in files.items()})
        case RetrieveJob():
            return {**result, **put_retrievals(job, result, files)}
        case RowJob():
            put_prepared([job], files)
        case GroupJob():
            put_prepared(job.rows, files)
    return result


def put_evaluation(job: EvaluateJob, result: tuple[Evaluation, Retrieval], files: Files) -> None:
    """The files of an evaluation, then its records."""
    folder, domain = Path(job.folder), job.row.domain
    evaluation, retrieval = result
    listed = {name: entry.sha256 for name, entry in evaluation.files.items()}
    arrived = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    if set(listed) != set(row_folder.JUDGED_NAMES) or listed != arrived:
        raise _not_whole(domain)
    row_folder.make_way(folder)
    for name, content in files.items():
        _write(folder / name, content)
    write_entry(folder / EVALUATION_NAME, evaluation)
    row_folder.remove_earlier_sheet(folder)
    write_entry(folder / RETRIEVAL_NAME, retrieval)


def put_prepared(rows: Sequence[RowJob], files: Files) -> None:
    """What was prepared for rows elsewhere, where it is not here yet; its method tells whether it is whole."""
    for key in {key for row in rows for key in row.prepared}:
        path = prepared.place(key).path
        if (content := files.get(mirrored(path))) is not None and not path.is_file():
            _write(path, content)


def put_retrievals(job: RetrieveJob, failed: Mapping[str, str], files: Files) -> dict[str, str]:
    """The records of rows whose pictures found their prompts anew; returns domain -> why one could not be kept."""
    lost = {}
    for domain in [domain for domain, _, _ in job.rows if domain not in failed]:
        path = HERE.adapted / domain / RETRIEVAL_NAME
        try:
            row_folder.make_way(path.parent)
            with replacing(path) as partial:
                partial.write_bytes(files.get(path.as_posix(), b""))
                read_entry(partial, Retrieval)
        except NadaError as err:
            lost[domain] = str(err)
    return lost


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(content)


def _not_whole(domain: str) -> RowFailedError:
    return RowFailedError(f"{domain}: what came back from another machine is not the whole row")
