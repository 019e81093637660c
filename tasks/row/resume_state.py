"""States of rows in the making, so that a row whose process ended goes on where it was, to the same bytes.

`weights/.unfinished/<domain>.safetensors` holds the tensors of `nada.methods.adapt.state`. Its metadata says what the
bytes of the rest depend on beside them; a state of anything else is of no use:

    metadata["nada"] = {"origin": {"key": ..., "processor": "AVX512", "threads": 2, "torch": "2.13.0"},
                        "seconds": 310.2, "sha256": ...}

It is written whole or not at all, and lies outside of `weights/adapted`, which DVC versions.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nada.atomic import replacing
from nada.checkpoints.canonical import METADATA_KEY
from nada.errors import OutputError, StateError
from nada.hashing import sha256_tensors
from tasks.row.job import RowJob
from tasks.store.row_folder import state_path


@dataclass(frozen=True)
class Unfinished:
    """What a row had come to."""

    tensors: dict[str, Tensor]
    seconds: float
    """Of training so far, in all processes."""


def save(job: RowJob, unfinished: Unfinished) -> None:
    """Replace the row's state.

    Raises:
        OutputError: it cannot be written; the one before is kept.
    """
    digest = sha256_tensors(unfinished.tensors)
    header = {"origin": _origin(job), "seconds": unfinished.seconds, "sha256": digest}
    path = state_path(job.row.domain)
    with replacing(path) as partial:
        try:
            save_file(unfinished.tensors, partial, {METADATA_KEY: json.dumps(header, sort_keys=True)})
        except SafetensorError as err:
            raise OutputError(f"{path}: cannot be written ({err})") from err


def load(job: RowJob) -> Unfinished | None:
    """The state that this very row left on this kind of machine, or None.

    Raises:
        StateError: it is torn or damaged.
    """
    path = state_path(job.row.domain)
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header: Mapping[str, Any] = json.loads((file.metadata() or {})[METADATA_KEY])
            if header["origin"] != _origin(job):
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        unfinished = Unfinished(tensors, float(header["seconds"]))
        is_whole = header["sha256"] == sha256_tensors(tensors)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as err:
        raise StateError(f"{path}: not a whole state ({type(err).__name__}: {err})") from err
    if not is_whole:
        raise StateError(f"{path}: damaged; its sha256 is not the one that it was written with")
    return unfinished


def remove(domain: str) -> None:
    """Forget a row's state, if there is one."""
    path = state_path(domain)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.with_name(path.name + ".partial").unlink(missing_ok=True)  # of a process killed while it wrote
        path.parent.rmdir()  # the last one takes the folder along


def processor(device: str) -> str:
    """What a device computes with, as far as it decides the last bits."""
    return torch.backends.cpu.get_cpu_capability() if device == "cpu" else torch.cuda.get_device_name(device)


def _origin(job: RowJob) -> dict[str, Any]:
    """What decides the bytes of the rest, beside the state."""
    return {
        "key": job.key,
        "processor": processor(job.device),
        "threads": job.threads,
        "torch": torch.__version__,
    }
