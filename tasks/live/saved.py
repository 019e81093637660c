"""Which rows a saved state is of, by its header alone: they go on together. Imports no torch.

The format is that of `tasks.row.resume_state`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from tasks.config.project import HERE
from tasks.store.pretrained import METADATA_KEY


def saved_passes() -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every state with its header; what cannot be read is left out."""
    for path in sorted(HERE.unfinished.glob("*.safetensors")):
        with (
            suppress(SafetensorError, OSError, ValueError, TypeError, KeyError),
            safe_open(path, framework="np") as file,
        ):
            yield path, json.loads(file.metadata()[METADATA_KEY])


def saved_rows() -> dict[tuple[str, str], Path]:
    """Rows that would go on from a state, by domain and key of making -> the state."""
    found: dict[tuple[str, str], Path] = {}
    for path, header in saved_passes():
        with suppress(KeyError, TypeError, ValueError):
            keys = dict(header["origin"]["group"])
            found |= {(domain, keys[domain]): path for domain in header["seconds"]}
    return found


def forget(domain: str) -> None:
    """Let a row start over, and whoever would go on with it."""
    for (saved, _), path in saved_rows().items():
        if saved == domain:
            path.unlink(missing_ok=True)
