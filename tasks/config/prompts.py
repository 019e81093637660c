"""The prompt CSV: one row per domain, checked whole before any work; every problem is reported at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from nada.errors import PromptsError, nearest, quoted
from tasks.config.model import Params
from tasks.config.prompt_length import context_length
from tasks.config.row import COLUMNS, REQUIRED, Row
from tasks.config.row_checks import (
    Problem,
    checked_row,
    domain_problems,
    override_problems,
    prompt_problems,
    source_problems,
)


def load_prompts(path: Path, params: Params) -> list[Row]:
    """Read and check the whole CSV.

    Raises:
        PromptsError: one line per problem, in the order of the file: `prompts.csv:7: 'target' is empty; ...`.
    """
    try:
        records = list(_records(_read_text(path)))
    except csv.Error as err:
        raise PromptsError(
            f"{path}: not valid CSV ({err}); a text that holds quotes or commas stands in quotes"
        ) from err
    header_line, header = records[0] if records else (1, [])
    problems = _header_problems(header_line, header)
    rows: list[Row] = []
    if not problems:
        rows, problems = _check_rows(header, records[1:], params)
        if not records[1:]:
            problems.append((header_line, f"no rows below the header; add one such as {_EXAMPLE}"))
    if problems:
        raise PromptsError("\n".join(f"{path}:{line}: {text}" for line, text in sorted(problems, key=lambda p: p[0])))
    return rows


_EXAMPLE = "sketch,a portrait,a pencil sketch"


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as err:
        raise PromptsError(f"{path}: no such file; night.prompts in params.yaml names it") from err
    except OSError as err:
        raise PromptsError(f"{path}: cannot be read ({err.strerror})") from err
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


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each non-blank record with the line that it starts on, its cells stripped."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    for cells in reader:
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield line, stripped
        line = reader.line_num + 1


def _header_problems(line: int, header: list[str]) -> list[Problem]:
    if not header:
        return [(line, f"the file is empty; the first line names the columns: {','.join(REQUIRED)}")]
    if len(header) == 1 and (separator := next((s for s in ";\t|" if s in header[0]), None)):
        return [(line, f"the columns are separated by {separator!r}; save it with commas")]
    problems: list[Problem] = []
    for column in dict.fromkeys(header):
        if column not in COLUMNS:
            hint = nearest(column, COLUMNS) or f"; the columns are {quoted(COLUMNS)}"
            problems.append((line, f"unknown column {column!r}{hint}"))
        elif header.count(column) > 1:
            problems.append((line, f"column {column!r} is there {header.count(column)} times; keep one"))
    for column in REQUIRED:
        if column not in header:
            problems.append((line, f"no column {column!r}; every file needs {quoted(REQUIRED)}"))
    return problems


def _check_rows(
    header: list[str], records: list[tuple[int, list[str]]], params: Params
) -> tuple[list[Row], list[Problem]]:
    rows: list[Row] = []
    problems: list[Problem] = []
    first_line: dict[str, int] = {}
    limit = context_length(params)
    for line, cells in records:
        if len(cells) > len(header) and any(cells[len(header) :]):
            text = f"{len(cells)} cells for {len(header)} columns; a text with a comma stands in double quotes"
            problems.append((line, text))
            continue
        row = {**dict.fromkeys(COLUMNS, ""), **dict(zip(header, cells, strict=False))}
        found = [*domain_problems(row["domain"], first_line), *prompt_problems(row, limit)]
        found += override_problems(row, params)
        first_line.setdefault(row["domain"], line)
        problems += [(line, text) for text in found]
        if not found:
            rows.append(checked_row(line, row, params))
    problems += source_problems(rows, first_line)
    return rows, problems
