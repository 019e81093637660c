"""A row appended to the prompt CSV, checked with all others before anything is written; the rest stays as it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from nada.atomic import replacing, writing
from nada.errors import ParamsError, PromptsError
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.prompts import load_prompts
from tasks.config.row import Row
from tasks.config.row_checks import slug
from tasks.store.locks import alone_in
from tasks.store.plain_data import read_csv

ARROWS = ("->", "\u2192", "=>")


def parse_pair(text: str) -> tuple[str, str]:
    """Source and target.

    >>> parse_pair("a portrait -> a pencil sketch")
    ('a portrait', 'a pencil sketch')

    Raises:
        ParamsError: no arrow between two texts.
    """
    arrow = next((arrow for arrow in ARROWS if arrow in text), None)
    source, _, target = text.partition(arrow or ARROWS[0])
    if arrow is None or not source.strip():
        raise ParamsError(f"{text!r}: no source and target; write 'a portrait -> a pencil sketch'")
    return source.strip(), target.strip()


def append_row(path: Path, params: Params, cells: Mapping[str, str]) -> list[Row]:
    """Add a line to the CSV, and columns to its header where it lacks some; nothing is written unless all is well.

    Args:
        path: the CSV.
        params: by which it is checked.
        cells: column -> text; without a domain, its name is made of the target.

    Returns:
        The rows of the night that the line asks for.

    Raises:
        ParamsError: no name of a domain is given, and the target has none of its letters.
        PromptsError: the new row or another one cannot be used.
        OutputError: the file cannot be written.
    """
    cells = {"domain": slug(cells["target"]), **{column: text for column, text in cells.items() if text}}
    if not cells["domain"] and (cells["target"] or "style_images" in cells):
        raise ParamsError(f"--domain: no name can be made of {cells['target']!r}; give one, such as --domain my-domain")
    with writing(HERE.weights):
        HERE.weights.mkdir(parents=True, exist_ok=True)
    with alone_in(HERE.weights):  # two that add at once both find their rows there
        last = 1
        for line, _ in read_csv(path, "night.prompts in params.yaml names it; nada init makes one"):
            last = line
        text = _with_row(path, cells)
        with replacing(path) as partial:
            partial.write_bytes(text.encode("utf-8"))
            try:
                rows = load_prompts(partial, params)
            except PromptsError as err:
                raise PromptsError(*(str(line).replace(str(partial), str(path)) for line in err.args)) from err
    return [row for row in rows if row.line > last]


def _with_row(path: Path, cells: Mapping[str, str]) -> str:
    text = path.read_bytes().decode("utf-8")
    newline = "\r\n" if "\r\n" in text else "\n"
    place, header = next(iter(read_csv(path, "")), (1, []))
    lines = text.splitlines(keepends=True)
    if missing := [column for column in cells if column not in header]:
        old = lines[place - 1]
        lines[place - 1] = ",".join([old.rstrip().rstrip(","), *missing]) + old[len(old.rstrip("\r\n")) :]
    while header and not header[-1]:
        header.pop()  # a spreadsheet's
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines.append(newline)
    row = io.StringIO(newline="")
    csv.writer(row, lineterminator=newline).writerow([cells.get(column, "") for column in [*header, *missing]])
    return "".join([*lines, row.getvalue()])
