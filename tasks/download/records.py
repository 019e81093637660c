"""What is known of a fetched file, in `FILE.fetched.json` beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nada.atomic import replacing
from tasks.store.plain_data import read_json


@dataclass(frozen=True)
class Fetched:
    """A file that is there, whole."""

    path: Path
    sha256: str
    bytes: int
    is_new: bool
    """False: it lay there already."""
    checked_by: str
    """What its checksum was compared with; empty where there was none yet."""


def record_path(path: Path) -> Path:
    """Where a file's record lies."""
    return path.with_name(path.name + ".fetched.json")


def read_record(path: Path) -> Mapping[str, Any]:
    """A file's record; empty where there was none, or it is damaged."""
    try:
        record = read_json(record_path(path))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def recorded_sha256(path: Path) -> str | None:
    """The checksum of a file's first fetch."""
    sha256 = read_record(path).get("sha256")
    return None if sha256 is None else str(sha256)


def write_record(path: Path, facts: Mapping[str, Any]) -> None:
    """Keep what is known of a file, and when.

    Raises:
        OutputError: it cannot be written.
    """
    dated = {**facts, "fetched": datetime.now().astimezone().isoformat(timespec="seconds")}
    with replacing(record_path(path)) as partial:
        partial.write_text(json.dumps(dated, indent=2) + "\n", encoding="utf-8")
