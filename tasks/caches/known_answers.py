"""Answers that cost more to find than to read, each under a hash of everything that decides it.

A JSON file `{"version": ..., "known": {key: answer}}` of the project's `.cache`. One that is absent, damaged or of
another version is as good as empty; one that cannot be written costs time alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nada.atomic import replacing
from nada.errors import OutputError
from tasks.store.plain_data import read_json


def read_answers(path: Path, version: str) -> dict[str, Any]:
    """Key -> answer, as JSON gives it back."""
    try:
        content = read_json(path)
        known = content["known"] if content["version"] == version else {}
    except (OSError, ValueError, TypeError, LookupError):
        return {}
    return known if isinstance(known, dict) else {}


def keep_answers(path: Path, version: str, known: dict[str, Any], asked: Iterable[str]) -> None:
    """Write those that were asked for, and forget the others."""
    content = {"version": version, "known": {key: known[key] for key in dict.fromkeys(asked) if key in known}}
    with suppress(OutputError), replacing(path) as partial:
        partial.write_text(json.dumps(content), encoding="utf-8")
