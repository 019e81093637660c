"""The prompt CSV: one row per domain, checked whole before any work; problems are reported together."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from nada.errors import PromptsError, nearest, quoted, shown
from nada.paths import read_bytes
from tasks.config.model import Params
from tasks.config.prompt_checks import prompt_problems
from tasks.config.prompt_tokens import context_length
from tasks.config.row import COLUMNS, REQUIRED, Row
from tasks.config.row_checks import (
    Problem,
    checked_row,
    domain_problems,
    override_problems,
    source_problems,
)


def load_prompts(path: Path, params: Params) -> list[Row]:
    """Read and check the whole CSV.

    Raises:
        PromptsError: one line per problem, in the order of the file: `prompts.csv:7: 'target' is empty; ...`.
    """
    records = list(_records(path, _read_text(path)))
    header_line, header = records[0] if records else (1, [])
    problems = _header_problems(header_line, header)
    rows: list[Row] = []
    if not problems:
        rows, problems = _check_rows(header, records[1:], params)
        if not records[1:]:
            problems.append((header_line, f"no rows below the header; add one such as {_EXAMPLE}"))
    if problems:
        raise PromptsError(*(f"{path}:{line}: {text}" for line, text in sorted(problems, key=lambda p: p[0])))
    return rows


def columns_of(path: Path) -> tuple[str, ...]:
    """The columns of a CSV in its own order; those of any where it can no longer be read."""
    try:
        header = next(_records(path, _read_text(path)))[1]
    except (PromptsError, StopIteration):
        return COLUMNS
    return tuple(column for column in header if column in COLUMNS) or COLUMNS


_EXAMPLE = "sketch,a portrait,a pencil sketch"
_LATE_QUOTE = re.compile(r'[^\S ]\s*"')  # after a tab or the like: CSV's quotes are the first of a cell
MOST_BYTES = 64 << 20  # of a file; a row is a hundred
MOST_PROBLEMS = 40  # told at once: whoever mends so many runs it again, and each costs a look at files and names


def _read_text(path: Path) -> str:
    content = read_bytes(path, MOST_BYTES, PromptsError, "night.prompts in params.yaml names it")
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


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each non-blank record with the line that it starts on, its cells stripped.

    Raises:
        PromptsError: no CSV from some line on.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    line = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                if late := next((cell for cell in cells if _LATE_QUOTE.match(cell)), None):
                    raise csv.Error(f"{shown(late)} is not in quotes, as they do not come first")
                yield line, stripped
            line = reader.line_num + 1
    except csv.Error as err:
        advice = "a text that holds quotes or commas stands in quotes, and a quote within is written twice"
        raise PromptsError(f"{path}:{line}: not valid CSV ({err}); {advice}") from err


def _header_problems(line: int, header: list[str]) -> list[Problem]:
    while header and not header[-1]:
        header.pop()  # spreadsheets save columns that were used once
    if not header:
        return [(line, f"the file is empty; the first line names the columns: {','.join(REQUIRED)}")]
    if len(header) == 1 and (separator := next((s for s in ";\t|" if s in header[0]), None)):
        return [(line, f"the columns are separated by {separator!r}; save it with commas")]
    problems: list[Problem] = []
    for column in dict.fromkeys(header):
        if column not in COLUMNS:
            hint = nearest(column, COLUMNS) or f"; the columns are {quoted(COLUMNS)}"
            problems.append((line, f"unknown column {shown(column)}{hint}"))
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
        if len(problems) >= MOST_PROBLEMS:
            return [], [*problems, (line, "not checked yet, nor is what follows; mend the lines above first")]
        row = {**dict.fromkeys(COLUMNS, ""), **dict(zip(header, cells, strict=False))}
        if any(cells[len(header) :]):
            found = [f"{len(cells)} cells for {len(header)} columns; a text with a comma stands in double quotes"]
        elif {row[column] for column in REQUIRED} == set(REQUIRED):  # in whatever order another file had them
            found = ["the header is here again; remove it"]
        else:
            found = [*domain_problems(row["domain"], first_line), *prompt_problems(row, limit)]
            found += override_problems(row, params)
            first_line.setdefault(row["domain"], line)
        problems += [(line, text) for text in found]
        if not found:
            rows.append(checked_row(line, row, params))
    problems += islice(source_problems(rows, first_line), MOST_PROBLEMS)
    return rows, problems
