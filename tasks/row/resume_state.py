"""States of rows in the making, so that those whose process ended go on where they were, to the same bytes.

`weights/.unfinished/<domain>.safetensors` holds `<domain>/<name>` for each tensor of
`nada.methods.base.Pass.state_dict`. Its metadata says what the bytes of the rest depend on beside them; a state of
anything else is of no use. `group` are the rows that began together, which may decide each other's last bits, and
`moment` is the same for the states that were taken together, which go on together:

    metadata["nada"] = {
        "origin": {"group": [[<domain>, <key>], ...], "processor": "AVX512", "threads": 2, "torch": ...},
        "moment": "1764170000000000000",
        "seconds": {<domain>: 310.2},
        "sha256": ...,
    }

Each row has a file of its own, and no pass touches those of rows that are not in it: whoever is left out of a night
keeps what it had come to. A file is written whole or not at all, and lies outside of `weights/adapted`, which DVC
versions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nada.atomic import replacing
from nada.checkpoints.canonical import METADATA_KEY
from nada.errors import OutputError, StateError
from nada.hashing import sha256_tensors
from tasks.live.saved import Together
from tasks.row.job import RowJob
from tasks.store.row_folder import state_path


@dataclass(frozen=True)
class Unfinished:
    """What a row had come to."""

    tensors: dict[str, Tensor]
    seconds: float
    """Of making so far, in all processes."""


@dataclass(frozen=True)
class Left:
    """What a pass had come to."""

    group: Mapping[str, str]
    """Rows that began in it: domain -> key of making."""
    rows: Mapping[str, Unfinished]
    """Those that left a state, by domain."""


def save(rows: Sequence[RowJob], left: Left) -> None:
    """Replace the states of rows of a pass. All are written before the first takes its name: a process that ends amid
    these names, microseconds, leaves states of two moments, which do not go on together.

    Args:
        rows: those whose states these are.
        left: what the pass has come to.

    Raises:
        OutputError: one cannot be written; those before are kept.
    """
    moment = str(time.time_ns())
    with ExitStack() as stack:
        for row in rows:
            partial = stack.enter_context(replacing(state_path(row.domain)))
            _write(partial, row, left, moment)


def _write(path: Path, row: RowJob, left: Left, moment: str) -> None:
    unfinished = left.rows[row.domain]
    tensors = {f"{row.domain}/{name}": tensor for name, tensor in unfinished.tensors.items()}
    header = {
        "origin": {"group": list(map(list, left.group.items())), **_circumstances(row)},
        "moment": moment,
        "seconds": {row.domain: unfinished.seconds},
        "sha256": sha256_tensors(tensors),
    }
    try:
        save_file(tensors, path, {METADATA_KEY: json.dumps(header, sort_keys=True)})
    except SafetensorError as err:
        raise OutputError(f"{state_path(row.domain)}: cannot be written ({err})") from err


def load(rows: Sequence[RowJob]) -> Left | None:
    """What these rows left on this kind of machine, if it was taken at once. Rows that left nothing are among them only
    where these are all that began.

    Raises:
        StateError: one is torn or damaged.
    """
    found = {row.domain: left for row in rows if (left := _load_row(row)) is not None}
    passes = {together for together, _ in found.values()}
    if len(passes) != 1:
        return None
    group = dict(passes.pop().group)
    if len(found) < len(rows) and group != {row.domain: row.keys.making for row in rows}:
        return None
    return Left(group, {domain: unfinished for domain, (_, unfinished) in found.items()})


def _load_row(row: RowJob) -> tuple[Together, Unfinished] | None:
    """What a row left, if it is of any use to it."""
    path, prefix = state_path(row.domain), f"{row.domain}/"
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header: Mapping[str, Any] = json.loads((file.metadata() or {})[METADATA_KEY])
            together, names = Together.of(header), list(file.keys())
            is_own = (row.domain, row.keys.making) in together.group and all(name.startswith(prefix) for name in names)
            if header["origin"] != {"group": header["origin"]["group"], **_circumstances(row)} or not is_own:
                return None
            tensors = {name: file.get_tensor(name) for name in names}
        seconds = float(header["seconds"][row.domain])
        is_whole = header["sha256"] == sha256_tensors(tensors)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as err:
        raise StateError(f"{path}: not a whole state ({type(err).__name__}: {err})") from err
    if not is_whole:
        raise StateError(f"{path}: damaged; its sha256 is not the one that it was written with")
    return together, Unfinished({name.removeprefix(prefix): tensor for name, tensor in tensors.items()}, seconds)


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
