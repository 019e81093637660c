"""Whether a finished row comes out of its inputs again, bit by bit; the finished row itself is only read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nada.hashing import sha256_file
from nada.methods.sheets import SUFFIX
from tasks.row.job import GroupJob, RowJob
from tasks.store.record import Evaluation, FileEntry, Making
from tasks.store.row_folder import EARLIER_SAMPLES_NAME, EMBEDDINGS_NAME
from tasks.tracking.entities import flat

CIRCUMSTANCES = ("device", "processor", "threads", "micro_batch", "group", "seed", "config", "provenance")
"""What a record tells of how the row was made; a difference there explains one in the files."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a row that was made again compares with the finished one."""

    differing: tuple[str, ...]
    """Names of files that are not the same, bit by bit."""
    circumstances: tuple[str, ...]
    """What else was different: versions, device, commit."""


def remake_job(job: GroupJob, making: Making) -> GroupJob:
    """The job that made a record, as far as the record tells, into another folder.

    Args:
        job: of the rows that were made in one pass, with the folder.
        making: how one of them was made.
    """
    return replace(job, rows=tuple(_as_made(row, making) for row in job.rows), **_on(making))


def _as_made(row: RowJob, making: Making) -> RowJob:
    changes = {"micro_batch": making.micro_batch, "storage": making.storage}
    night = row.params.night.model_copy(update=changes)
    params = row.params.model_copy(update={"night": night})
    return replace(row, params=params, resumes=False, **_on(making))


def _on(making: Making) -> dict[str, Any]:
    return {"device": making.device, "threads": making.threads}


def compare(making: Making, evaluation: Evaluation, remade: Making, folder: Path) -> Comparison:
    """Compare the files of a row that was made and judged again with those that its records list.

    Args:
        making: of the finished row.
        evaluation: likewise.
        remade: of the new one.
        folder: of the new one.
    """
    files: Mapping[str, FileEntry] = {**making.files, **evaluation.files}
    names = sorted({*files, *remade.files} - _kept_otherwise(files, folder))
    differing = [name for name in names if not _is_same(folder / name, files.get(name))]
    then, now = (
        dict(flat({name: of[name] for name in CIRCUMSTANCES}))
        for of in (making.model_dump(mode="json"), remade.model_dump(mode="json"))
    )
    changed = [
        f"{name}: {then.get(name, 'not recorded')} then, {now.get(name, 'not recorded')} now"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    return Comparison(differing=tuple(differing), circumstances=tuple(changed))


def _kept_otherwise(files: Mapping[str, FileEntry], folder: Path) -> set[str]:
    """Names of what an earlier version kept in another form, PNG and float32, and of what there is in their place."""
    earlier = {name for name in files if name.endswith(".png") and (folder / name).with_suffix(SUFFIX).is_file()}
    found = earlier | {Path(name).with_suffix(SUFFIX).name for name in earlier}
    return found | {EMBEDDINGS_NAME} if EARLIER_SAMPLES_NAME in earlier else found


def _is_same(path: Path, entry: FileEntry | None) -> bool:
    return entry is not None and path.is_file() and sha256_file(path) == entry.sha256
