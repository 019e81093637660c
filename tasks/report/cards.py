"""What the page shows of one domain: its pictures, figures, curves, verdict, and the line that would change it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from nada.errors import NadaError
from nada.methods.base import PROBES_NAME, TRACE_NAME
from tasks.caches.reference_pictures import look
from tasks.config.row import Row
from tasks.report.charts import loss_curve, probe_curves
from tasks.report.references import reference_pictures
from tasks.report.score_catalogue import SCORES, ScoreInfo
from tasks.report.thumbnails import (
    TRUTH_SHARE,
    Shown,
    columns_of,
    read_sheet,
    row_of,
    sheet_shown,
    side_of,
    strips_shown,
)
from tasks.report.triage import CONTENT, KINDS, Triage, triage
from tasks.report.wording import STORED, facts, lasted, steps, stored
from tasks.store.record import GENERATOR, Making, Record, ScoreEntry
from tasks.store.row_folder import sheet_path

STEPS_TO_TRY = re.compile(r"\biterations (\d+)")
MOST_SOURCES = 3  # whose pictures stand on top of the table


def make_card(
    record: Record,
    folder: Path,
    num_cards: int,
    is_new: bool,
    columns: Sequence[str],
    variants: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the template shows of one domain.

    Args:
        record: of the domain.
        folder: the row's.
        num_cards: cards with pictures and curves on the page, this one among them; 0 where this one has neither.
        is_new: whether this night trained it.
        columns: of the night's CSV.
        variants: `variants_shown` of a domain that has several.
    """
    making, verdict, path = record.making, triage(record), record.row.reference_images
    scores = [shown_score(meaning, record.scores) for meaning in SCORES if meaning.name in record.scores]
    card = {
        "record": record,
        "scores": scores,
        "by_name": {score["meaning"].name: score for score in scores},
        "triage": verdict,
        "is_pictured": num_cards > 0,
        "variants": variants,
        "is_new": is_new,
        "lasted": lasted(record.seconds),
        "recipe": recipe(making),
        "facts": {word: sentence for word, sentence in facts(making).items() if word != STORED},
        "stored": stored(making),
        "is_content": verdict.kind in CONTENT,
        "change": change(making, verdict, columns),
        **dict.fromkeys(("picture", "strips", "references", "curve", "probes"), None),
        "own_pictures": [],
    }
    if not num_cards:
        return card
    card["curve"] = loss_curve(folder / TRACE_NAME)
    card["probes"] = probe_curves(folder / PROBES_NAME, making.kept_step)
    card["own_pictures"] = own_pictures(making, folder, num_cards)
    if (sheet := read_sheet(sheet_path(folder))) is not None:
        side = side_of(record)
        card["picture"] = sheet_shown(sheet, num_cards)
        card["strips"] = strips_shown(sheet, side, num_cards)
        card["references"] = references(path, side, columns_of(sheet, side), num_cards)
    return card


def worst_first(cards: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """By verdict, then as they were: what is not good wants somebody to decide."""
    return sorted(cards, key=lambda card: -KINDS.index(card["triage"].kind))


def distinct_sources(cards: Sequence[Mapping[str, Any]]) -> dict[str, Shown]:
    """Whose pictures the domains came from, as a word or two -> the first of them; empty where these are too many."""
    found: dict[tuple[str | None, str | None], tuple[list[str], Shown]] = {}
    for card in cards:
        if card["strips"]:
            found.setdefault(_source(card["record"].making), ([], card["strips"][0]))[0].append(card["record"].domain)
    few = list(found.values()) if len(found) <= MOST_SOURCES else []
    return {_whose(of, len(few)): shown for of, shown in few}


def _source(making: Making) -> tuple[str | None, str | None]:
    """What a row is shown beside: a generator, or a row; two sheets never hold it in the same bytes."""
    return making.provenance.get(GENERATOR), None if making.config.get("frozen") == "base" else making.on_key


def _whose(domains: Sequence[str], num_sources: int) -> str:
    if num_sources == 1:
        return "the source"
    return f"source of {domains[0]}{f' and {len(domains) - 1} more' if len(domains) > 1 else ''}"


def references(path: str | None, resolution: int, columns: int, num_cards: int) -> Shown | None:
    """A strip of a row's reference pictures, where it has any that can be read."""
    pictures = _some_of(path, _content(path), resolution, columns) if path else []
    return sheet_shown(row_of(pictures, columns), num_cards, TRUTH_SHARE) if pictures else None


def _content(path: str) -> str:
    """Of a set, by content; read at most once while nobody touches it."""
    try:
        return look(path).sha256
    except NadaError:
        return ""


@lru_cache(maxsize=8)
def _some_of(path: str, content: str, resolution: int, columns: int) -> list[Image.Image]:
    """Read once where several rows name one set, for as long as it holds the same."""
    return reference_pictures(path, resolution, columns)


def own_pictures(making: Making, folder: Path, num_cards: int) -> list[dict[str, Any]]:
    """What the row's method drew itself, as far as it can be read."""
    sheets = ((read_sheet(folder / name), caption) for name, caption in making.pictures.items())
    found = [(sheet, caption) for sheet, caption in sheets if sheet is not None]
    shares = num_cards * max(1, len(found))
    return [{"picture": sheet_shown(sheet, shares, TRUTH_SHARE), "caption": caption} for sheet, caption in found]


def recipe(making: Making) -> str:
    """How the row was made and how far it went, in words."""
    settings = making.method_object.settings_in_words(making.method_config)
    return f"{making.row.recipe or making.method}: {steps(making)} steps {settings}"


def change(making: Making, verdict: Triage, columns: Sequence[str]) -> dict[str, str] | None:
    """A line for the CSV that makes the row anew: with the steps that its verdict advises, or another seed.

    Returns:
        `line`, `what` it changes, and the `column` that it needs and the CSV does not have; empty where it has all.
        None of a row for which the CSV has no other word: its method draws nothing by a seed.
    """
    row = making.row
    if advised := STEPS_TO_TRY.search(verdict.advice):
        name, value = "iterations", advised[1]
    elif making.method_object.draws_by_seed:
        name, value = "seed", str((row.seed or 0) + 1)
    else:
        return None
    whole = [*columns, *([] if name in columns else [name])]
    return {
        "line": csv_line(row, whole, {name: value}),
        "what": f"{name} {value}",
        "column": "" if name in columns else name,
    }


def csv_line(row: Row, columns: Sequence[str], changes: Mapping[str, str]) -> str:
    """The row as the CSV has it, but for some cells."""
    text = io.StringIO(newline="")
    cells = {name: "" if (cell := getattr(row, name, None)) is None else str(cell) for name in columns}
    csv.writer(text, lineterminator="").writerow({**cells, **changes}.values())
    return text.getvalue()


def shown_score(meaning: ScoreInfo, scores: Mapping[str, ScoreEntry]) -> dict[str, Any]:
    """One score as the template shows it; `mark` says whether it fell below what it started from."""
    score = scores[meaning.name]
    value = score.value
    started = scores.get(meaning.before or "")
    against = "" if score.reference.startswith("none") else f" Against: {score.reference}."
    shown = meaning.shown(value, score.low, score.high, score.num_images)
    return {
        "meaning": meaning,
        "value": value,
        "shown": shown if meaning.first else meaning.pattern.format(value),
        "tip": f"{meaning.text}{against} {score.num_images} pictures, by {score.network}.{_interval(meaning, score)}",
        "before": None if started is None else meaning.pattern.format(started.value),
        "mark": "" if started is None else "fell" if value < started.value else "rose",
    }


def _interval(meaning: ScoreInfo, score: ScoreEntry) -> str:
    """Where other pictures of the same generator would likely put the figure."""
    low, high = (meaning.pattern.format(end) for end in (score.low, score.high))
    return f" 95% interval {low} to {high}."
