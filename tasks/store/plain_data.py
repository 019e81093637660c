"""Plain data from JSON files that anybody may have edited: read in bounded time, whatever stands in their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nada.hashing import open_regular

MOST_BYTES = 256 << 20  # a library of a hundred thousand rows has smaller files


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """What a file holds.

    Raises:
        OSError: it cannot be read, or is no file.
        ValueError: it is larger, or no JSON.
    """
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"more than {most_bytes} bytes")
    return parse_json(content.decode("utf-8"))


def parse_json(content: str) -> Any:
    """What a text holds.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(content)
    except RecursionError as err:
        raise ValueError("lists within lists without end") from err
