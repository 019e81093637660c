"""The night's scores as files: metrics.json for DVC's metrics, and what its plots draw as CSV."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

from nada.atomic import replacing
from nada.methods.base import PROBES_NAME
from tasks.config.project import HERE
from tasks.report.score_catalogue import MAIN_SCORES
from tasks.store.record import Record, ScoreEntry
from tasks.variants.choice import unpicked
from tasks.variants.names import variant_of
from tasks.variants.told import Family

METRICS_NAME = "metrics.json"
LEADERBOARD_NAME = "leaderboard.csv"
CONFUSION_NAME = "confusion.csv"
PROBED = ("step", "edit", "diversity")
UNREADABLE = (OSError, ValueError, KeyError, csv.Error)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the wide forms, too
RANKED_BY = ("retrieval_accuracy", "directional_similarity")


def leaderboard(records: Sequence[Record], families: Mapping[str, Family] | None = None) -> list[dict[str, Any]]:
    """One flat mapping a record: domain, prompts, recipe, every score, intervals of the first ones, seconds.

    The best retrieval comes first, then the best directional similarity. A score that a domain lacks is None; the
    ends of an interval are `NAME_low` and `NAME_high`. Where a domain has variants, it is told which was `taken` of how
    many, and for the first scores `NAME_mean` and `NAME_spread` over them.
    """
    names = list(dict.fromkeys(name for record in records for name in record.scores))
    rows = [
        {
            "domain": record.domain,
            **{name: getattr(record.row, name) for name in ("source", "target", "recipe")},
            **{name: None if (score := record.scores.get(name)) is None else score.value for name in names},
            **_ends(record.scores, names),
            "seconds": record.seconds,
            **({} if not families else _variants(families.get(record.domain), names)),
        }
        for record in records
    ]
    return sorted(rows, key=lambda row: [*(-(row.get(name) or 0.0) for name in RANKED_BY), row["domain"]])


def write_metrics(
    records: Sequence[Record],
    failures: Mapping[str, str],
    *folders: Path,
    adapted_dir: Path = HERE.adapted,
    families: Mapping[str, Family] | None = None,
) -> None:
    """Write metrics.json, leaderboard.csv, confusion.csv and probes.csv, each whole or not at all.

    metrics.json holds the scores that come first, so that `dvc metrics diff` stays readable; leaderboard.csv all.

    Args:
        records: of the finished rows.
        failures: domain -> reason, of the failed ones.
        folders: made when they are missing; all get the same files.
        adapted_dir: where the rows' folders are.
        families: domain -> its variants, of domains that have several.

    Raises:
        OutputError: one of them cannot be written.
    """
    shown = [name for meaning in MAIN_SCORES for name in (meaning.name, meaning.before) if name]
    domains: dict[str, dict[str, float]] = {}
    intervals: dict[str, dict[str, list[float]]] = {}
    for record in sorted(records, key=lambda record: record.domain):
        scores = {name: record.scores[name] for name in shown if name in record.scores}
        domains[record.domain] = {name: score.value for name, score in scores.items()}
        intervals[record.domain] = {name: [score.low, score.high] for name, score in scores.items()}
    values = {name: [scores[name] for scores in domains.values() if name in scores] for name in shown}
    content = {
        "domains": domains,
        "intervals": intervals,
        "mean": {name: fmean(of) for name, of in values.items() if of},
        "num_domains": len(records),
        "num_failed": len(failures),
    }
    files = {
        METRICS_NAME: json.dumps(content, indent=2, ensure_ascii=False) + "\n",
        LEADERBOARD_NAME: _csv(leaderboard(records, families), ["domain"]),
        CONFUSION_NAME: _csv(confusion(records), ["domain", "target", "prompt", "share"]),
        PROBES_NAME: _csv(probes(records, adapted_dir), ["domain", *PROBED]),
    }
    for folder, (name, text) in itertools.product(folders, files.items()):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def confusion(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The night's confusion matrix, one entry a domain and prompt: the share of its pictures nearest to that prompt.

    Entries of zero are left out, so that thousands of domains stay a file of thousands of lines. A row that was kept
    from an earlier night was judged among the prompts of that night.
    """
    return [
        {
            "domain": record.domain,
            "target": record.row.target,
            "prompt": prompt,
            "share": num / sum(record.nearest.values()),
        }
        for record in sorted(records, key=lambda record: record.domain)
        for prompt, num in sorted(record.nearest.items(), key=lambda entry: (-entry[1], entry[0]))
    ]


def probes(records: Sequence[Record], adapted_dir: Path) -> list[dict[str, Any]]:
    """What the judge saw of each domain on the way, one entry a probe; domains without readable probes are left out."""
    entries: list[dict[str, Any]] = []
    for domain in sorted(record.domain for record in records if PROBES_NAME in record.making.files):
        with suppress(*UNREADABLE), (adapted_dir / domain / PROBES_NAME).open(newline="", encoding="utf-8") as file:
            entries += [{"domain": domain, **{name: line[name] for name in PROBED}} for line in csv.DictReader(file)]
    return entries


def _ends(scores: Mapping[str, ScoreEntry], names: Sequence[str]) -> dict[str, float | None]:
    first = [meaning.name for meaning in MAIN_SCORES if meaning.name in names]
    return {f"{name}_{end}": getattr(scores.get(name), end, None) for name in first for end in ("low", "high")}


def _variants(family: Family | None, names: Sequence[str]) -> dict[str, Any]:
    """Columns of nights in which a domain has several rows."""
    found: dict[str, Any] = {
        "taken": "" if family is None else variant_of(family.choice.name),
        "variants": 1 if family is None else len(unpicked(list(family.records))),
    }
    for name in (meaning.name for meaning in MAIN_SCORES if meaning.name in names):
        spread = None if family is None else family.spread(name)
        found[f"{name}_mean"], found[f"{name}_spread"] = (None, None) if spread is None else spread
    return found


def _csv(rows: Sequence[Mapping[str, Any]], header: Sequence[str]) -> str:
    """The rows under the columns of the first; `header` where there are none."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else header, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    """A cell that spreadsheets show: prompts and recipes are other people's, and text that begins so is computed."""
    if isinstance(value, str) and value.startswith(FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
