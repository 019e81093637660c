"""The prompt CSV: one row per domain, checked whole before any work; problems are reported together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path

from nada.errors import PromptsError, nearest, quoted, shown
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.prompt_checks import prompt_problems
from tasks.config.prompt_tokens import context_length
from tasks.config.row import COLUMNS, REQUIRED, Row
from tasks.config.row_checks import Problem, domain_problems, source_problems
from tasks.store.plain_data import read_csv
from tasks.variants.picks import Pick, load_picks
from tasks.variants.rows import all_named, resolved, tries_of


def load_prompts(path: Path, params: Params) -> list[Row]:
    """Read and check the whole CSV, with what was picked: the rows of a night, a row for each variant.

    Raises:
        PromptsError: one line per problem, in the order of the file: `prompts.csv:7: 'target' is empty; ...`.
    """
    records = list(read_csv(path, "night.prompts in params.yaml names it"))
    header_line, header = records[0] if records else (1, [])
    problems = _header_problems(header_line, header)
    rows: list[Row] = []
    if not problems:
        rows, problems = _check_rows(header, records[1:], params, load_picks())
        if not records[1:]:
            problems.append((header_line, f"no rows below the header; add one such as {_EXAMPLE}"))
    if problems:
        raise PromptsError(*(f"{path}:{line}: {text}" for line, text in sorted(problems, key=lambda p: p[0])))
    return rows


def columns_of(path: Path) -> tuple[str, ...]:
    """The columns of a CSV in its own order; those of any where it can no longer be read."""
    try:
        header = next(iter(read_csv(path, "")))[1]
    except (PromptsError, StopIteration):
        return COLUMNS
    return tuple(column for column in header if column in COLUMNS) or COLUMNS


_EXAMPLE = "sketch,a portrait,a pencil sketch"
MOST_PROBLEMS = 40  # told at once: whoever mends so many runs it again, and each costs a look at files and names


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
    header: list[str], records: list[tuple[int, list[str]]], params: Params, picks: Mapping[str, Pick]
) -> tuple[list[Row], list[Problem]]:
    tries: list[dict[str, Row]] = []
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
            asked = tries_of(line, row, params)
            found = [*domain_problems(row["domain"], first_line), *prompt_problems(row, limit)]
            found += asked.problems
            first_line.setdefault(row["domain"], line)
            if not found:
                tries.append(asked.variants)
        problems += [(line, text) for text in found]
    rows, wrong = resolved(all_named(tries, picks, HERE.picks), picks)
    sources = source_problems(rows, {*first_line, *(row.domain for row in rows)})
    problems += islice(_each_once(chain(wrong, sources)), MOST_PROBLEMS)
    return rows, problems


def _each_once(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Variants of a row have its problems in common."""
    seen: set[Problem] = set()
    for problem in problems:
        if problem not in seen:
            seen.add(problem)
            yield problem
