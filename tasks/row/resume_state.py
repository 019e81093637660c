"""States of passes in the making, so that rows whose process ended go on where they were, to the same bytes.

`weights/.unfinished/<domain>.safetensors`, named after the first row of the pass, holds `<row>/<name>` for each tensor
of `nada.methods.base.Pass.state_dict`, of all rows at one moment: rows that learn side by side may decide each other's
last bits. Its metadata says what the bytes of the rest depend on beside them; a state of anything else is of no use:

    metadata["nada"] = {"origin": {"group": [[<row>, <key>], ...], "processor": "AVX512", "threads": 2, "torch": ...},
                        "seconds": {<row>: 310.2}, "sha256": ...}

It is written whole or not at all, and lies outside of `weights/adapted`, which DVC versions.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nada.atomic import replacing, sweep_partials
from nada.checkpoints.canonical import METADATA_KEY
from nada.errors import OutputError, StateError
from nada.hashing import sha256_tensors
from tasks.row.job import RowJob
from tasks.store.row_folder import state_path


@dataclass(frozen=True)
class Unfinished:
    """What one row had come to."""

    tensors: dict[str, Tensor]
    seconds: float
    """Of making so far, in all processes."""


def save(group: Sequence[RowJob], unfinished: Mapping[str, Unfinished]) -> None:
    """Replace the state of a pass.

    Args:
        group: all rows that began in it.
        unfinished: those that are still in it, by domain.

    Raises:
        OutputError: it cannot be written; the one before is kept.
    """
    tensors = {f"{domain}/{name}": one for domain, row in unfinished.items() for name, one in row.tensors.items()}
    header = {
        "origin": _origin(group),
        "seconds": {domain: row.seconds for domain, row in unfinished.items()},
        "sha256": sha256_tensors(tensors),
    }
    path = state_path(group[0].domain)
    with replacing(path) as partial:
        try:
            save_file(tensors, partial, {METADATA_KEY: json.dumps(header, sort_keys=True)})
        except SafetensorError as err:
            raise OutputError(f"{path}: cannot be written ({err})") from err


def load(group: Sequence[RowJob]) -> dict[str, Unfinished]:
    """What a pass of these very rows left on this kind of machine, by domain; nothing where it left nothing.

    Raises:
        StateError: it is torn or damaged.
    """
    path = state_path(group[0].domain)
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            header: Mapping[str, Any] = json.loads((file.metadata() or {})[METADATA_KEY])
            if header["origin"] != _origin(group):
                return {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        seconds = {row.domain: header["seconds"][row.domain] for row in group if row.domain in header["seconds"]}
        unfinished = {
            domain: Unfinished(_under(f"{domain}/", tensors), float(took)) for domain, took in seconds.items()
        }
        is_whole = header["sha256"] == sha256_tensors(tensors)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as err:
        raise StateError(f"{path}: not a whole state ({type(err).__name__}: {err})") from err
    if not is_whole:
        raise StateError(f"{path}: damaged; its sha256 is not the one that it was written with")
    return unfinished


def remove(group: Sequence[RowJob]) -> None:
    """Forget the state of a pass, if there is one."""
    path = state_path(group[0].domain)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        sweep_partials(path)
        path.parent.rmdir()  # the last one takes the folder along


def processor(device: str) -> str:
    """What a device computes with, as far as it decides the last bits."""
    return torch.backends.cpu.get_cpu_capability() if device == "cpu" else torch.cuda.get_device_name(device)


def _origin(group: Sequence[RowJob]) -> dict[str, Any]:
    """What decides the bytes of the rest, beside the state."""
    return {
        "group": [[row.domain, row.keys.making] for row in group],
        "processor": processor(group[0].device),
        "threads": group[0].threads,
        "torch": torch.__version__,
    }


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
