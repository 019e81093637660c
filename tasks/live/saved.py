"""Which rows left a state, and with whom they go on, by its header alone. Imports no torch.

The format is that of `tasks.row.resume_state`.
"""

from __future__ import annotations

import json
from contextlib import suppress

from safetensors import SafetensorError, safe_open

from nada.atomic import sweep_partials
from tasks.config.project import HERE
from tasks.store.pretrained import METADATA_KEY
from tasks.store.row_folder import state_path

Group = tuple[tuple[str, str], ...]
"""Rows that began together: domain and key of making of each."""


def saved_rows() -> dict[tuple[str, str], Group]:
    """Rows that would go on from a state, by domain and key of making -> the rows with which they go on.

    What cannot be read is left out.
    """
    found: dict[tuple[str, str], Group] = {}
    for path in HERE.unfinished.glob("*.safetensors"):
        with (
            suppress(SafetensorError, OSError, ValueError, TypeError, KeyError),
            safe_open(path, framework="np") as file,
        ):
            header = json.loads(file.metadata()[METADATA_KEY])
            group = tuple((domain, key) for domain, key in header["origin"]["group"])
            found[path.stem, dict(group)[path.stem]] = group
    return found


def forget(domain: str) -> None:
    """Let a row start over."""
    path = state_path(domain)
    with suppress(OSError):
        path.unlink(missing_ok=True)
        sweep_partials(path)
        path.parent.rmdir()  # the last one takes the folder along
