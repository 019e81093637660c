"""Two nights side by side: which scores of which domains have really changed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nada.errors import ParamsError
from nada.paths import is_file, is_folder
from tasks.config.project import HERE
from tasks.report.metrics import METRICS_NAME
from tasks.report.score_catalogue import MAIN_SCORES
from tasks.store.plain_data import parse_json, read_json
from tasks.store.versioning import refusal_of_git

LATEST = "now"
SCORES = TypeAdapter(dict[str, dict[str, float | None]])
INTERVALS = TypeAdapter(dict[str, dict[str, tuple[float, float]]])


@dataclass(frozen=True, kw_only=True)
class Change:
    """One score of one domain, before and after; None where a night lacks it."""

    domain: str
    name: str
    before: float | None
    after: float | None
    is_clear: bool
    """Whether the 95% intervals do not overlap: more than the choice of the pictures explains."""


def load_night_metrics(night: str) -> dict[str, Any]:
    """The metrics of a night.

    Args:
        night: a folder of reports/ or its path, `now` for the latest metrics, or a git revision.

    Raises:
        ParamsError: there is nothing of that name, or it is damaged.
    """
    for path in (HERE.reports / METRICS_NAME if night == LATEST else HERE.reports / night / METRICS_NAME, Path(night)):
        found = path / METRICS_NAME if is_folder(path) else path
        if is_file(found):
            return _checked(partial(read_json, found), str(found))
    return _checked(partial(parse_json, _at_revision(night)), f"{night}:{HERE.reports / METRICS_NAME}")


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Every first score of every domain of either night, by domain."""
    changes = []
    for domain in sorted({*before["domains"], *after["domains"]}):
        for meaning in MAIN_SCORES:
            values = [night["domains"].get(domain, {}).get(meaning.name) for night in (before, after)]
            ends = [night["intervals"].get(domain, {}).get(meaning.name) for night in (before, after)]
            if values == [None, None]:
                continue
            is_clear = None not in ends and (ends[0][1] < ends[1][0] or ends[1][1] < ends[0][0])
            changes.append(
                Change(domain=domain, name=meaning.name, before=values[0], after=values[1], is_clear=is_clear)
            )
    return changes


def _at_revision(revision: str) -> str:
    """reports/metrics.json as git keeps it at a revision."""
    path = f"{HERE.reports.as_posix()}/{METRICS_NAME}"
    nights = sorted(found.parent.name for found in HERE.reports.glob(f"*/{METRICS_NAME}"))
    known = f"nights: {', '.join(nights)}" if nights else "no night has a report here yet"
    nothing = f"{revision!r}: no night of {HERE.reports}/ and no git revision with {path}; {known}"
    command = ["git", "show", "--end-of-options", f"{revision}:./{path}"]
    try:
        result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    except (OSError, ValueError) as err:  # no git; a NUL byte
        raise ParamsError(nothing) from err
    if result.returncode != 0:
        raise ParamsError(refusal_of_git(result.stderr) or nothing)
    return result.stdout


def _checked(read: Callable[[], Any], where: str) -> dict[str, Any]:
    try:
        content = read()
        domains = SCORES.validate_python(content["domains"])
        intervals = INTERVALS.validate_python(content.get("intervals", {}))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as err:
        raise ParamsError(f"{where}: not the metrics of a night; run nada report to write them again") from err
    return {**content, "domains": domains, "intervals": intervals}
