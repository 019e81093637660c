"""The header of a safetensors file: JSON that must mean the same to every reader.

The library checks lengths, offsets and types. It takes the last of two entries of one name, and so does Python's own
JSON; here that is an error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from nada.checkpoints.pickles.allowlist import MAX_DIMENSIONS
from nada.errors import CheckpointError, one_line, shown

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 16 << 20  # a generator's is a few 10 KiB


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that a safetensors file has beside its tensors, once its header is known to be sound.

    Raises:
        CheckpointError: missing, truncated, or a header that does not describe the file.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            header = file.read(min(length, MAX_HEADER_BYTES))
        if length > len(header):
            problem = f"header of {length} bytes in a file of {path.stat().st_size}"
            raise CheckpointError(f"{path}: not a whole safetensors file ({problem}); copy or fetch it again")
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
        _check_entries(parse_json(header.decode()))
    except (SafetensorError, OSError, ValueError) as err:
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({one_line(err)}); copy or fetch it again"
        ) from err
    return metadata


def _check_entries(header: dict[str, Any]) -> None:
    for name, entry in header.items():
        if name != "__metadata__" and len(entry["shape"]) > MAX_DIMENSIONS:
            raise ValueError(f"{shown(name)} has {len(entry['shape'])} dimensions")


def parse_json(text: str) -> Any:
    """JSON in which no object names a field twice.

    Raises:
        ValueError: it is none, or nested without end.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError as err:
        raise ValueError("nested too deeply") from err


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"{shown(name)} twice")
        fields[name] = value
    return fields
