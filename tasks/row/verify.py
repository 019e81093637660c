"""Whether a finished row comes out of its inputs again, bit by bit; the finished row itself is only read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nada.hashing import sha256_file
from tasks.row.job import RemakeJob, RowJob
from tasks.tracking.entities import flat

REMAKE = "tasks.row.make:remake_row"
CIRCUMSTANCES = ("device", "processor", "threads", "micro_batch", "seed", "adapt", "provenance")
"""What a record tells of how the row was made; a difference there explains one in the files."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a row that was made again compares with the finished one."""

    differing: tuple[str, ...]
    """Names of files that are not the same, bit by bit."""
    circumstances: tuple[str, ...]
    """What else was different: versions, device, commit."""


def remake_job(job: RowJob, record: Mapping[str, Any], folder: Path) -> RemakeJob:
    """The job that made a record, as far as the record tells, into another folder.

    Args:
        job: of the same row key.
        record: row.json of the finished row.
        folder: empty.
    """
    night = job.params.night.model_copy(
        update={"micro_batch": record["micro_batch"], "storage": record["storage"]["kind"]}
    )
    given = {field.name: getattr(job, field.name) for field in fields(RowJob)}
    given |= {
        "params": job.params.model_copy(update={"night": night}),
        "device": record["device"],
        "threads": record["threads"],
        "all_targets": record["all_targets"],
        "resumes": False,
    }
    return RemakeJob(**given, folder=str(folder))


def compare(record: Mapping[str, Any], remade: Mapping[str, Any], folder: Path) -> Comparison:
    """Compare the files of a row that was made again with those that a record lists.

    Args:
        record: of the finished row.
        remade: of the new one.
        folder: of the new one.
    """
    files: Mapping[str, Any] = record["files"]
    names = sorted({*files, *remade["files"]})
    differing = [name for name in names if not _is_same(folder / name, files.get(name))]
    then, now = (dict(flat({name: of.get(name) for name in CIRCUMSTANCES})) for of in (record, remade))
    changed = [
        f"{name}: {then.get(name, 'not recorded')} then, {now.get(name, 'not recorded')} now"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    return Comparison(differing=tuple(differing), circumstances=tuple(changed))


def _is_same(path: Path, entry: Mapping[str, Any] | None) -> bool:
    return entry is not None and path.is_file() and sha256_file(path) == entry["sha256"]
