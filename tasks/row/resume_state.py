"""States of passes in the making, so that rows whose process ended go on where they were, to the same bytes.

`weights/.unfinished/<domain>.safetensors`, named after the first row of the pass, holds `<row>/<name>` for each tensor
of `nada.methods.base.Pass.state_dict`, of all rows at one moment that had not ended: rows that learn side by side may
decide each other's last bits. Its metadata says what the bytes of the rest depend on beside them; a state of anything
else is of no use. `group` are the rows that began together, `seconds` those that are in it:

    metadata["nada"] = {"origin": {"group": [[<row>, <key>], ...], "processor": "AVX512", "threads": 2, "torch": ...},
                        "seconds": {<row>: 310.2}, "sha256": ...}

It is written whole or not at all, and lies outside of `weights/adapted`, which DVC versions.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nada.atomic import replacing, sweep_partials
from nada.checkpoints.canonical import METADATA_KEY
from nada.errors import OutputError, StateError
from nada.hashing import sha256_tensors
from tasks.live.saved import saved_passes
from tasks.row.job import RowJob
from tasks.store.row_folder import state_path


@dataclass(frozen=True)
class Unfinished:
    """What one row had come to."""

    tensors: dict[str, Tensor]
    seconds: float
    """Of making so far, in all processes."""


@dataclass(frozen=True)
class Left:
    """What a pass had come to."""

    group: Mapping[str, str]
    """Rows that began in it: domain -> key of making."""
    rows: Mapping[str, Unfinished]
    """Those that had not ended, by domain."""


def save(job: RowJob, left: Left) -> None:
    """Replace the state of a pass.

    Args:
        job: of one of its rows; says with what it is made.
        left: what it has come to.

    Raises:
        OutputError: it cannot be written; the one before is kept.
    """
    tensors = {f"{domain}/{name}": one for domain, row in left.rows.items() for name, one in row.tensors.items()}
    header = {
        "origin": {"group": list(map(list, left.group.items())), **_circumstances(job)},
        "seconds": {domain: row.seconds for domain, row in left.rows.items()},
        "sha256": sha256_tensors(tensors),
    }
    path = state_path(next(iter(left.group)))
    with replacing(path) as partial:
        try:
            save_file(tensors, partial, {METADATA_KEY: json.dumps(header, sort_keys=True)})
        except SafetensorError as err:
            raise OutputError(f"{path}: cannot be written ({err})") from err


def load(rows: Sequence[RowJob]) -> Left | None:
    """What a pass on this kind of machine left in which these rows were, with others that ended since or with none; or
    in which these very rows began, some of which failed.

    Raises:
        StateError: it is torn or damaged.
    """
    wanted = [(row.domain, row.keys.making) for row in rows]
    for path in _places(rows[0]):
        try:
            with safe_open(path, framework="pt") as file:
                header: Mapping[str, Any] = json.loads((file.metadata() or {})[METADATA_KEY])
                group, seconds = dict(header["origin"].pop("group")), dict(header["seconds"])
                are_there = all(key == group.get(domain) and domain in seconds for domain, key in wanted)
                if header["origin"] != _circumstances(rows[0]) or not (are_there or wanted == list(group.items())):
                    continue
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            unfinished = {
                domain: Unfinished(_under(f"{domain}/", tensors), float(seconds[domain]))
                for domain, _ in wanted
                if domain in seconds
            }
            is_whole = header["sha256"] == sha256_tensors(tensors)
        except (SafetensorError, OSError, ValueError, TypeError, KeyError) as err:
            raise StateError(f"{path}: not a whole state ({type(err).__name__}: {err})") from err
        if not is_whole:
            raise StateError(f"{path}: damaged; its sha256 is not the one that it was written with")
        return Left(group, unfinished)
    return None


def _places(first: RowJob) -> Iterator[Path]:
    """Where it may lie: under the row's own name, or that of a row that ended."""
    if (own := state_path(first.domain)).is_file():
        yield own
    yield from (path for path, _ in saved_passes() if path != own)


def remove(group: Mapping[str, str]) -> None:
    """Forget the state of a pass, if there is one.

    Args:
        group: see `Left`.
    """
    path = state_path(next(iter(group)))
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        sweep_partials(path)
        path.parent.rmdir()  # the last one takes the folder along


def processor(device: str) -> str:
    """What a device computes with, as far as it decides the last bits."""
    return torch.backends.cpu.get_cpu_capability() if device == "cpu" else torch.cuda.get_device_name(device)


def _circumstances(job: RowJob) -> dict[str, Any]:
    """What decides the bytes of the rest, beside the rows and their state."""
    return {
        "processor": processor(job.device),
        "threads": job.threads,
        "torch": torch.__version__,
    }


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
