"""The night's scores as files: metrics.json for DVC's metrics, leaderboard.csv for its plots."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from nada.atomic import replacing

METRICS_NAME = "metrics.json"
LEADERBOARD_NAME = "leaderboard.csv"
RANKED_BY = ("retrieval_accuracy", "directional_similarity")


def leaderboard(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One flat mapping a record: domain, prompts, recipe, the value of every score, seconds.

    The best retrieval comes first, then the best directional similarity. A score that a domain lacks is None.
    """
    names = list(dict.fromkeys(name for record in records for name in record["scores"]))
    rows = [
        {
            "domain": record["domain"],
            **{name: record["row"][name] for name in ("source", "target", "recipe")},
            **{name: record["scores"].get(name, {}).get("value") for name in names},
            "seconds": record["seconds"]["total"],
        }
        for record in records
    ]
    return sorted(rows, key=lambda row: [*(-(row.get(name) or 0.0) for name in RANKED_BY), row["domain"]])


def write_metrics(records: Sequence[Mapping[str, Any]], failures: Mapping[str, str], folder: Path) -> None:
    """Write metrics.json and leaderboard.csv, each whole or not at all.

    Args:
        records: of the finished rows.
        failures: domain -> reason, of the failed ones.
        folder: made when it is missing.

    Raises:
        OutputError: it cannot be written.
    """
    rows = leaderboard(records)
    domains = {
        record["domain"]: {name: score["value"] for name, score in record["scores"].items()} for record in records
    }
    means = {name: fmean(values) for name in _score_names(rows) if (values := _values(rows, name))}
    content = {
        "domains": dict(sorted(domains.items())),
        "mean": means,
        "num_domains": len(records),
        "num_failed": len(failures),
    }
    _write(folder / METRICS_NAME, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    _write(folder / LEADERBOARD_NAME, _csv(rows))


def _score_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    texts = {"domain", "source", "target", "recipe", "seconds"}
    return [name for name in rows[0] if name not in texts] if rows else []


def _values(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [row[name] for row in rows if row[name] is not None]


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["domain"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, content: str) -> None:
    with replacing(path) as partial:
        partial.write_text(content, encoding="utf-8")
