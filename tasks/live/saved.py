"""Which rows left a state, and with whom they go on, by its header alone. Imports no torch.

The format is that of `tasks.row.resume_state`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError, safe_open

from nada.atomic import sweep_partials
from tasks.config.project import HERE
from tasks.store.pretrained import METADATA_KEY
from tasks.store.row_folder import is_made, state_path


@dataclass(frozen=True)
class Together:
    """Rows whose states were taken together go on together, and with no others."""

    group: tuple[tuple[str, str], ...]
    """Rows that began together: domain and key of making of each."""
    moment: str
    """When the states were taken."""

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> Together:
        """As a state's header tells it.

        Raises:
            KeyError, TypeError, ValueError: it does not.
        """
        group = tuple((domain, key) for domain, key in header["origin"]["group"])
        return cls(group, str(header.get("moment")))


def saved_rows() -> dict[tuple[str, str], Together]:
    """Rows that would go on from a state, by domain and key of making -> what is equal for those that go on together.

    What cannot be read is left out.
    """
    found: dict[tuple[str, str], Together] = {}
    for path in HERE.unfinished.glob("*.safetensors"):
        with (
            suppress(SafetensorError, OSError, ValueError, TypeError, KeyError),
            safe_open(path, framework="np") as file,
        ):
            header = json.loads(file.metadata()[METADATA_KEY])
            together = Together.of(header)
            found[path.stem, dict(together.group)[path.stem]] = together
    return found


def forget_finished() -> None:
    """Forget what rows had come to that were published since, by a process that was killed before it did so."""
    for domain, key in saved_rows():
        if is_made(HERE.adapted / domain, domain, key):
            forget(domain)


def forget(domain: str) -> None:
    """Let a row start over."""
    path = state_path(domain)
    with suppress(OSError):
        path.unlink(missing_ok=True)
        sweep_partials(path)
        path.parent.rmdir()  # the last one takes the folder along
