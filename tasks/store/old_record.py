"""Format 1 of row.json, as an older version wrote it: one record for all of a row. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from nada.methods.adapt.record import Rounding
from nada.methods.base import Storage
from tasks.store.plain_data import read_json
from tasks.store.record import MAKING_NAME, MOST_BYTES, FileEntry


class OldEntry(BaseModel):
    """A part of an old record, as far as it is of use."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class OldStorage(OldEntry):
    """How the weights are kept."""

    kind: Storage
    rounding: Rounding | None = None


class OldChoice(OldEntry):
    """How the checkpoint was chosen, where it was."""

    step: int
    trained: int
    why: str
    probes: int
    seconds: float


class OldLoss(OldEntry):
    """Of the first and of the last step."""

    first: float
    last: float


class OldSeconds(OldEntry):
    """By phase."""

    load: float
    adapt: float


class OldRecord(OldEntry):
    """Format 1 of row.json."""

    format: Literal[1]
    key: str
    domain: str
    resolution: int
    guides: list[str]
    storage: OldStorage
    choice: OldChoice | None
    loss: OldLoss
    seconds: OldSeconds
    device: str
    processor: str
    threads: int
    micro_batch: int
    gpu_bytes: int | None
    provenance: dict[str, str]
    finished: str
    files: dict[str, FileEntry]


def read_old(folder: Path) -> OldRecord | None:
    """A folder's record, if it is one of format 1."""
    try:
        return OldRecord.model_validate(read_json(folder / MAKING_NAME, MOST_BYTES))
    except (OSError, ValueError):
        return None
