"""A row's record and trace as the flat names, numbers and tags that a run of MLflow holds; no mlflow here."""

from __future__ import annotations

import csv
import datetime
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.report.score_catalogue import MAIN_SCORES
from tasks.store.row_folder import WEIGHTS_NAME

Point = tuple[str, float, int, int]
"""Name, value, milliseconds since 1970, step."""

STEP_COLUMN = "step"


def curves(path: Path, group: str, started: int, ended: int) -> Iterator[Point]:
    """One point a line and column of trace.csv or probes.csv, where the cell holds a finite number.

    Args:
        path: the file; a missing one has no points.
        group: what the names begin with.
        started: when the row began, in milliseconds since 1970; the steps are spread evenly over its time.
        ended: when it ended.
    """
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    for position, line in enumerate(lines):
        step = int(line[STEP_COLUMN])
        when = started + (ended - started) * position // len(lines)
        for name, text in line.items():
            if name != STEP_COLUMN and (value := _number(text)) is not None:
                yield _name(f"{group}/{name}"), value, when, step


def final_points(record: Mapping[str, Any], when: int) -> Iterator[Point]:
    """Scores under their own names, intervals of the first ones under `<name>/low`, seconds under `seconds/<phase>`."""
    values = {name: score["value"] for name, score in record["scores"].items()}
    for meaning in MAIN_SCORES:
        score = record["scores"].get(meaning.name, {})
        values |= {f"{meaning.name}/{end}": score.get(end) for end in ("low", "high")}
    values |= {f"seconds/{name}": value for name, value in record["seconds"].items()}
    for name, value in values.items():
        if value is not None and math.isfinite(value):
            yield name, float(value), when, 0


def hash_tags(record: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Hashes, versions and device as tags; of the weights, their path and sha256."""
    tags = {_name(f"nada.{name}"): str(value) for name, value in record.get("provenance", {}).items()}
    tags |= {f"nada.{name}": str(record[name]) for name in ("device", "threads") if name in record}
    weights = record.get("files", {}).get(WEIGHTS_NAME)
    if weights is not None:
        tags |= {"nada.weights.path": str(folder / WEIGHTS_NAME), "nada.weights.sha256": weights["sha256"]}
    return tags


def flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested sections as dotted names; what is None is left out.

    >>> dict(flat({"guide": {"models": [{"name": "ViT-B-32"}], "config_dir": None}}))
    {'guide.models.0.name': 'ViT-B-32'}
    """
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield from flat({str(index): item for index, item in enumerate(value)}, f"{prefix}{name}.")
        elif value is not None:
            yield _name(f"{prefix}{name}"), str(value)


def ended_ms(record: Mapping[str, Any]) -> int:
    """When the row was finished, in milliseconds since 1970.

    >>> ended_ms({"finished": "2026-01-01T00:00:00+00:00"})
    1767225600000
    """
    return round(1000 * datetime.datetime.fromisoformat(record["finished"]).timestamp())


def _name(text: str) -> str:
    """A name that MLflow accepts."""
    return re.sub(r"[^\w/.: -]", "_", text)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
