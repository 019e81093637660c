"""Numbers of a night as geometry for SVG: curves and the confusion heat map."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from tasks.store.record import Record

CURVE_SIZE = (560, 120)
CURVE_POINTS = 140
LABEL_COLUMNS = 28  # of a name or prompt beside the heat map
SMOOTHING = 0.05  # of the curve's length is averaged around each point
MISTAKES_SHOWN = 10
MISTAKE_SHARE = 0.05  # of a domain's pictures; rarer mistakes are not worth a line


def loss_curve(path: Path) -> dict[str, Any] | None:
    """The trace as points of an SVG polyline, raw and smoothed; None without a readable trace."""
    columns = _columns(path, "loss")
    if columns is None:
        return None
    (losses,) = columns
    low, high = min(losses), max(losses)
    return {
        "raw": polyline(losses, low, high),
        "smooth": polyline(smoothed(losses), low, high),
        "low": f"{low:.3f}",
        "high": f"{high:.3f}",
        "steps": len(losses),
        "width": CURVE_SIZE[0],
        "height": CURVE_SIZE[1],
    }


def probe_curves(path: Path, kept: int) -> dict[str, Any] | None:
    """What the judge saw on the way (probes.csv) as points of SVG polylines over one scale; None without two probes.

    Args:
        path: the row's probes.csv.
        kept: the step whose weights the row kept.
    """
    columns = _columns(path, "step", "edit", "diversity")
    if columns is None or columns[0][-1] <= 0:
        return None
    steps, edit, diversity = columns
    low, high = min(0.0, *edit), max(1.0, *edit, *diversity)
    return {
        "edit": polyline(edit, low, high, steps),
        "diversity": polyline(diversity, low, high, steps),
        "last": f"{edit[-1]:.2f}",
        "varied": f"{diversity[-1]:.0%}",
        "kept": kept,
        "kept_x": f"{CURVE_SIZE[0] * kept / steps[-1]:.1f}",
        "steps": int(steps[-1]),
        "width": CURVE_SIZE[0],
        "height": CURVE_SIZE[1],
    }


def _columns(path: Path, *names: str) -> list[list[float]] | None:
    """Columns of a CSV of finite numbers; None where it is missing, damaged or shorter than two lines."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        columns = [[float(line[name]) for line in lines] for name in names]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return None
    return columns if len(lines) > 1 and all(map(math.isfinite, itertools.chain(*columns))) else None


def smoothed(values: Sequence[float]) -> list[float]:
    """Mean over a centred window, narrower at the ends.

    >>> smoothed([1.0, 1.0, 1.0])
    [1.0, 1.0, 1.0]
    """
    reach = max(1, round(len(values) * SMOOTHING / 2))
    windows = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def polyline(values: Sequence[float], low: float, high: float, steps: Sequence[float] = ()) -> str:
    """SVG points over CURVE_SIZE, at most CURVE_POINTS of them; low is at the bottom, the last step at the right.

    Args:
        values: in the order of their steps.
        low: value at the bottom.
        high: value at the top.
        steps: where the values were taken, from 0 at the left; evenly, the first at the left, when there are none.
    """
    width, height = CURVE_SIZE
    at = steps or range(len(values))
    stride = max(1, -(-len(values) // CURVE_POINTS))
    chosen = sorted({*range(0, len(values), stride), len(values) - 1})
    span = (high - low) or 1.0
    points = ((at[i] / at[-1] * width, (1 - (values[i] - low) / span) * height) for i in chosen)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def confusion(records: Sequence[Record]) -> dict[str, Any] | None:
    """Which prompts the pictures of each domain find, as cells of a heat map; None without a record.

    A row a domain, a column a prompt: the domains' own first, in their order, so that what is found lies on the
    diagonal, then the others, such as the sources'. Only cells that hold a picture are listed.

    Returns:
        `domains`, `prompts`, `own` (each domain's column, empty where it has none), `cells` (row, column, share,
        whether it is the domain's own), `mistakes`: the most frequent ones as (domain, prompt, share), largest first,
        and `widest_domain` and `widest_prompt`, in columns as `in_columns` shows them.
    """
    if not records:
        return None
    own = [record.row.target for record in records]
    others = sorted({prompt for record in records for prompt in record.nearest} - set(own))
    prompts = [*filter(None, dict.fromkeys(own)), *others]  # a row that pictures alone lead has none
    column = {prompt: index for index, prompt in enumerate(prompts)}
    cells = []
    for row, record in enumerate(records):
        total = sum(record.nearest.values())
        for prompt, count in record.nearest.items():
            if count:
                cells.append((row, column[prompt], count / total, prompt == own[row]))
    wrong = [(records[row].domain, prompts[at], share) for row, at, share, found in cells if own[row] and not found]
    mistakes = sorted((mistake for mistake in wrong if mistake[2] >= MISTAKE_SHARE), key=lambda mistake: -mistake[2])
    domains = [record.domain for record in records]
    return {
        "domains": domains,
        "prompts": prompts,
        "widest_domain": max(cell_len(in_columns(domain)) for domain in domains),
        "widest_prompt": max((cell_len(in_columns(prompt)) for prompt in prompts), default=0),
        "own": [column.get(prompt, "") for prompt in own],
        "cells": cells,
        "mistakes": mistakes[:MISTAKES_SHOWN],
    }


def in_columns(text: str, most: int = LABEL_COLUMNS) -> str:
    """A text cut to so many columns: a Chinese character or a picture takes two, a mark on a letter none.

    >>> in_columns("a pencil sketch", 9), in_columns("\u4e00\u5e45\u7d20\u63cf", 7), in_columns("sepia", 5)
    ('a pencil\u2026', '\u4e00\u5e45\u7d20\u2026', 'sepia')
    """
    cut = Text(text)
    cut.truncate(most, overflow="ellipsis")
    return cut.plain
