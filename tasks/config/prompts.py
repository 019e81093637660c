"""The prompt CSV: one row per domain, checked whole before any work; every problem is reported at once."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nada.errors import CheckpointError, ImageError, PromptsError, nearest, quoted
from tasks.config.model import Params
from tasks.config.prompt_length import context_length, count_tokens
from tasks.store import reference_pictures

REQUIRED = ("domain", "source", "target")
OPTIONAL = ("recipe", "iterations", "seed", "reference_images")
COLUMNS = (*REQUIRED, *OPTIONAL)
DOMAIN_LENGTH = 64
RESERVED = "source"  # `nada sample source` shows the generator that the domains come from
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ITERATIONS_RANGE = (1, 1_000_000)  # as adapt.iterations
MIN_REFERENCES = 2
SEED_RANGE = (0, 2**31 - 1)  # as night.seed

Problem = tuple[int, str]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One checked row of the prompt CSV."""

    line: int
    """Where it starts in the file, counting from 1; the header is line 1."""
    domain: str
    source: str
    target: str
    recipe: str
    """The row's own, or `night.recipe`; always one of `recipes`."""
    iterations: int | None = None
    seed: int | None = None
    reference_images: str | None = None
    """Folder or zip of true images of the target domain, for judging alone."""


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
        found = [*_domain_problems(row["domain"], first_line), *_prompt_problems(row, limit)]
        found += _override_problems(row, params)
        first_line.setdefault(row["domain"], line)
        problems += [(line, text) for text in found]
        if not found:
            rows.append(_row(line, row, params))
    return rows, problems


def _domain_problems(domain: str, first_line: dict[str, int]) -> Iterator[str]:
    if not domain:
        yield _empty("domain")
    elif not SLUG.fullmatch(domain) or len(domain) > DOMAIN_LENGTH:
        rule = f"use small letters, digits and single dashes, at most {DOMAIN_LENGTH}"
        suggestion = _slug(domain)
        yield f"'domain' is {domain!r}; {rule}" + (f", such as {suggestion!r}" if suggestion else "")
    elif domain == RESERVED:
        yield f"'domain' is {domain!r}, which names the generator before adaptation; choose another name"
    elif domain in first_line:
        yield f"domain {domain!r} is already on line {first_line[domain]}; each domain has one row"


def _prompt_problems(row: dict[str, str], limit: int) -> Iterator[str]:
    whole = True
    for column in ("source", "target"):
        prompt = row[column]
        if not prompt:
            yield _empty(column)
        elif any(unicodedata.category(character) == "Cc" for character in prompt):
            yield f"{column!r} holds a line break or another control character; a prompt is one line"
        elif limit < (tokens := count_tokens(prompt, limit)):
            yield f"{column!r} has {tokens} tokens inside its longest template; CLIP reads {limit}, so shorten it"
        else:
            continue
        whole = False
    if whole and _plain(row["source"]) == _plain(row["target"]):
        yield f"'source' and 'target' are both {row['target']!r}; there is no direction between them"


def _override_problems(row: dict[str, str], params: Params) -> Iterator[str]:
    if row["recipe"] and row["recipe"] not in params.recipes:
        hint = nearest(row["recipe"], params.recipes) or f"; the recipes are {quoted(params.recipes)}"
        yield f"unknown recipe {row['recipe']!r}{hint}"
    for column, (low, high) in (("iterations", ITERATIONS_RANGE), ("seed", SEED_RANGE)):
        if row[column] and not (_is_whole(row[column]) and low <= int(row[column]) <= high):
            yield f"{column!r} is {row[column]!r}; expected a whole number from {low} to {high}"
    if row["reference_images"]:
        try:
            num_images = reference_pictures.look(row["reference_images"]).num_images
        except (ImageError, CheckpointError) as err:
            yield f"'reference_images': {err}"
        else:
            if num_images < MIN_REFERENCES:
                yield f"'reference_images' holds 1 image; a distance needs {MIN_REFERENCES} or more"


def _row(line: int, row: dict[str, str], params: Params) -> Row:
    return Row(
        line=line,
        domain=row["domain"],
        source=row["source"],
        target=row["target"],
        recipe=row["recipe"] or params.night.recipe,
        iterations=int(row["iterations"]) if row["iterations"] else None,
        seed=int(row["seed"]) if row["seed"] else None,
        reference_images=row["reference_images"] or None,
    )


def _empty(column: str) -> str:
    return f"{column!r} is empty; every row needs domain, source and target"


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]{1,18}", text) is not None


def _slug(text: str) -> str:
    """The nearest allowed domain name.

    >>> _slug("Pencil_Sketch é!")
    'pencil-sketch-e'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall("[a-z0-9]+", plain))[:DOMAIN_LENGTH].rstrip("-")


def _plain(prompt: str) -> str:
    return " ".join(prompt.casefold().split())
