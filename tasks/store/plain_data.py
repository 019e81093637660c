"""Plain data from JSON and CSV files that anybody may have edited: read in bounded time, whatever they hold."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nada.errors import PromptsError, shown
from nada.hashing import open_regular
from nada.paths import read_bytes

MOST_BYTES = 256 << 20  # a library of a hundred thousand rows has smaller files
USUAL_BYTES = 32 << 10  # of a record, hardly ever more
MOST_CSV_BYTES = 64 << 20  # a row is a hundred
LATE_QUOTE = re.compile(r'[^\S ]\s*"')  # after a tab or the like: CSV's quotes are the first of a cell


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """What a file holds.

    Raises:
        OSError: it cannot be read, or is no file.
        ValueError: it is larger, or no JSON.
    """
    with open_regular(path) as file:
        content = file.read(first := min(USUAL_BYTES, most_bytes + 1))  # more at once is a large buffer a small file
        if len(content) == first:
            content += file.read(most_bytes + 1 - first)
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


def read_csv(path: Path, way_out: str) -> Iterator[tuple[int, list[str]]]:
    """Each non-blank record with the line that it starts on, its cells stripped.

    Args:
        path: the file.
        way_out: what to do where it is missing.

    Raises:
        PromptsError: it cannot be read, or is no CSV from some line on.
    """
    reader = csv.reader(io.StringIO(_read_text(path, way_out), newline=""), strict=True, skipinitialspace=True)
    line = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                if late := next((cell for cell in cells if LATE_QUOTE.match(cell)), None):
                    raise csv.Error(f"{shown(late)} is not in quotes, as they do not come first")
                yield line, stripped
            line = reader.line_num + 1
    except csv.Error as err:
        advice = "a text that holds quotes or commas stands in quotes, and a quote within is written twice"
        raise PromptsError(f"{path}:{line}: not valid CSV ({err}); {advice}") from err


def _read_text(path: Path, way_out: str) -> str:
    content = read_bytes(path, MOST_CSV_BYTES, PromptsError, way_out)
    advice = "save it as 'CSV UTF-8'"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise PromptsError(f"{path}: the file is UTF-16; {advice}")
    if (position := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, position) + 1
        raise PromptsError(f"{path}:{line}: a NUL byte; this is not a text file, or it is damaged")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        raise PromptsError(f"{path}:{line}: not UTF-8 (byte {content[err.start]:#04x}); {advice}") from err
