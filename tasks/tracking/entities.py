"""A row's record and trace as the flat names, numbers and tags that a run of MLflow holds; no mlflow here."""

from __future__ import annotations

import csv
import datetime
import math
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.report.score_catalogue import MAIN_SCORES
from tasks.report.triage import triage
from tasks.store.record import Record

Point = tuple[str, float, int, int]
"""Name, value, milliseconds since 1970, step."""

STEP_COLUMN = "step"
NAME_LENGTH = 200  # MLflow's limit is 250


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


def final_points(record: Record, when: int) -> Iterator[Point]:
    """Scores under their own names, intervals of the first ones under `<name>/low`, seconds under `seconds/<phase>`,
    and the step whose result is kept.
    """
    values = {name: score.value for name, score in record.scores.items()}
    values["kept_step"] = record.making.kept_step
    for meaning in MAIN_SCORES:
        if (score := record.scores.get(meaning.name)) is not None:
            values |= {f"{meaning.name}/low": score.low, f"{meaning.name}/high": score.high}
    phases = Counter(record.making.seconds)
    phases.update(record.evaluation.seconds)  # both load
    values |= {f"seconds/{name}": seconds for name, seconds in {**phases, "total": record.seconds}.items()}
    for name, value in values.items():
        if math.isfinite(value):
            yield name, float(value), when, 0


def hash_tags(record: Record, folder: Path) -> dict[str, str]:
    """Method, hashes, versions and device as tags; of the weights, their path and sha256."""
    making = record.making
    tags = {_name(f"nada.{name}"): text for name, text in making.provenance.items()}
    tags |= {f"nada.{name}": str(getattr(making, name)) for name in ("method", "device", "threads")}
    if making.weights:
        tags["nada.weights.path"] = ", ".join(str(folder / name) for name in making.weights)
        tags["nada.weights.sha256"] = ", ".join(entry.sha256 for entry in making.weights.values())
    return tags


def verdict_tags(record: Record) -> dict[str, str]:
    """What came of a row, why, and what to try next; MLflow shows the note as the run's description."""
    found = triage(record)
    note = f"{found.kind}: {found.evidence}" + (f"; {found.advice}" if found.advice else "")
    tags = {"nada.verdict": found.kind, "nada.evidence": found.evidence, "mlflow.note.content": note}
    return tags | ({"nada.advice": found.advice} if found.advice else {})


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


def milliseconds(moment: str) -> int:
    """A moment in ISO 8601, in milliseconds since 1970.

    >>> milliseconds("2026-01-01T00:00:00+00:00")
    1767225600000
    """
    return round(1000 * datetime.datetime.fromisoformat(moment).timestamp())


def _name(text: str) -> str:
    """A name that MLflow accepts: of some characters, not too long, and no path that could be shorter.

    >>> [_name("recipes.a//b.k"), _name("train/loss"), _name("layers[0]")]
    ['recipes.a__b.k', 'train/loss', 'layers_0_']
    """
    name = re.sub(r"[^\w/.: -]", "_", text)[:NAME_LENGTH]
    is_short = posixpath.normpath(name) == name and not name.startswith(("/", ".."))
    return name if is_short else name.replace("/", "_")


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
