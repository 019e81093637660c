"""The night as one HTML file that needs nothing else: pictures and curves are inside, no address is called."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nada.atomic import replacing
from nada.errors import NadaError
from nada.methods.base import PROBES_NAME, TRACE_NAME
from tasks.config.project import HERE
from tasks.plan.wording import listed
from tasks.report.charts import confusion, loss_curve, probe_curves
from tasks.report.metrics import leaderboard
from tasks.report.score_catalogue import MAIN_SCORES, SCORES, ScoreInfo
from tasks.report.thumbnails import read_sheet, sheet_uri, strip_uris
from tasks.report.triage import KINDS, triage
from tasks.report.wording import STORED, facts, lasted, steps, stored
from tasks.store.plain_data import read_json
from tasks.store.record import Making, Record, ScoreEntry
from tasks.store.row_folder import SAMPLES_NAME

TEMPLATE = "report.html.j2"
NIGHT_NAME = "night.json"
REPORT_NAME = "index.html"
CARDS, LINES = 200, 1000  # domains shown with pictures, and in the table: more would not open in a browser


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A row that was lost."""

    domain: str
    source: str
    target: str
    reason: str
    details: str = ""
    """The worker's traceback, if there is one."""


@dataclass(frozen=True, kw_only=True)
class Night:
    """What the report says of the night itself; kept as night.json beside it."""

    name: str
    started: str
    """ISO 8601, local time."""
    seconds: float
    workers: str
    trained: tuple[str, ...] = ()
    current: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    left: tuple[str, ...] = ()
    """Domains for which the deadline left no time."""
    commands: dict[str, str] = field(default_factory=dict)
    """What -> the line that opens it."""


def save_night(night: Night, folder: Path) -> None:
    """Write night.json.

    Raises:
        OutputError: it cannot be written.
    """
    with replacing(folder / NIGHT_NAME) as partial:
        partial.write_text(json.dumps(asdict(night), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_night(folder: Path) -> Night:
    """Read night.json back.

    Raises:
        NadaError: it is missing or damaged.
    """
    path = folder / NIGHT_NAME
    try:
        content = read_json(path)
        content["failures"] = tuple(Failure(**failure) for failure in content["failures"])
        lists = {name: tuple(content.get(name, ())) for name in ("trained", "current", "left")}
        return Night(**{**content, **lists})
    except (OSError, ValueError, TypeError, KeyError) as err:
        raise NadaError(f"{path}: no readable record of a night ({err})") from err


def write_report(records: Sequence[Record], night: Night, path: Path, adapted_dir: Path = HERE.adapted) -> Path:
    """Write the report, whole or not at all.

    Args:
        records: of the finished rows, in any order.
        night: the night, with its failures.
        path: the HTML file.
        adapted_dir: where the rows' folders are.

    Raises:
        OutputError: it cannot be written.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # prompts are other people's texts
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    by_domain = {record.domain: record for record in records}
    ranked = [by_domain[entry["domain"]] for entry in leaderboard(records)]
    pictured = pictured_domains([record.domain for record in ranked], night)
    listed = [record for place, record in enumerate(ranked) if place < LINES or record.domain in pictured]
    cards = [make_card(record, night, adapted_dir / record.domain, pictured) for record in listed]
    verdicts = Counter([card["triage"].kind for card in cards] + ["failed"] * len(night.failures))
    shown = [meaning for meaning in MAIN_SCORES if any(meaning.name in record.scores for record in records)]
    page = environment.get_template(TEMPLATE).render(
        night=night,
        cards=cards,
        meanings=shown,
        lasted=lasted(night.seconds),
        summary=summary(night, len(records)),
        notes=[*absent(records), *left_out(records)],
        cut="" if len(pictured) == len(records) else cut(len(records), len(listed), len(pictured)),
        verdicts={kind: verdicts[kind] for kind in KINDS if verdicts[kind]},
        confusion=confusion([record for record in ranked if record.domain in pictured]),
    )
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def pictured_domains(ranked: Sequence[str], night: Night) -> frozenset[str]:
    """Domains that are shown with pictures: what this night trained, then the best, as far as a page can hold."""
    trained = set(night.trained)
    return frozenset(sorted(ranked, key=lambda domain: domain not in trained)[:CARDS])


def cut(num_records: int, num_lines: int, num_cards: int) -> str:
    """What a page of very many domains leaves out.

    >>> cut(10_000, 1000, 200)
    'Pictures of 200 and scores of 1000 of the 10000 domains; reports/leaderboard.csv has the scores of all.'
    """
    return (
        f"Pictures of {num_cards} and scores of {num_lines} of the {num_records} domains; "
        "reports/leaderboard.csv has the scores of all."
    )


def summary(night: Night, num_records: int) -> str:
    """The night in one line."""
    parts = [f"{num_records} of {num_records + len(night.failures) + len(night.left)} domains ready"]
    parts += [f"{len(night.trained)} trained in this night"] if night.trained else []
    parts += [f"{len(night.current)} kept from before"] if night.current else []
    parts += [f"{len(night.failures)} failed"] if night.failures else []
    parts += [f"{len(night.left)} left for the next night"] if night.left else []
    return ", ".join(parts)


def absent(records: Sequence[Record]) -> list[str]:
    """Which networks did not judge, and why, one line each."""
    reasons = {(name, reason) for record in records for name, reason in record.evaluation.absent.items()}
    return [f"No figures by {name}: {reason}." for name, reason in sorted(reasons)]


def left_out(records: Sequence[Record]) -> list[str]:
    """Of which references not all that is there was read, one line each."""
    found: dict[tuple[str, str], list[str]] = {}
    for record in sorted(records, key=lambda record: record.domain):
        if words := record.evaluation.left_out:
            found.setdefault((record.row.reference_images or "", words), []).append(record.domain)
    return [f"Not read of {path} ({listed(of)}): {words}." for (path, words), of in found.items()]


def make_card(record: Record, night: Night, folder: Path, pictured: Collection[str]) -> dict[str, Any]:
    """What the template shows of one domain; without a picture and a curve unless it is `pictured`."""
    making, is_pictured = record.making, record.domain in pictured
    sheet = read_sheet(folder / SAMPLES_NAME) if is_pictured else None
    scores = [shown_score(meaning, record.scores) for meaning in SCORES if meaning.name in record.scores]
    return {
        "record": record,
        "scores": scores,
        "by_name": {score["meaning"].name: score for score in scores},
        "triage": triage(record),
        "is_pictured": is_pictured,
        "picture": None if sheet is None else sheet_uri(sheet, len(pictured)),
        "strips": None if sheet is None else strip_uris(sheet, making.resolution),
        "curve": loss_curve(folder / TRACE_NAME) if is_pictured else None,
        "probes": probe_curves(folder / PROBES_NAME, making.kept_step) if is_pictured else None,
        "is_new": record.domain in night.trained,
        "lasted": lasted(record.seconds),
        "recipe": recipe(making),
        "facts": {word: sentence for word, sentence in facts(making).items() if word != STORED},
        "stored": stored(making),
    }


def recipe(making: Making) -> str:
    """How the row was made and how far it went, in words."""
    settings = making.method_object.settings_in_words(making.method_config)
    return f"{making.row.recipe or making.method}: {steps(making)} steps {settings}"


def shown_score(meaning: ScoreInfo, scores: Mapping[str, ScoreEntry]) -> dict[str, Any]:
    """One score as the template shows it; `mark` says whether it fell below what it started from."""
    score = scores[meaning.name]
    value = score.value
    started = scores.get(meaning.before or "")
    against = "" if score.reference.startswith("none") else f" Against: {score.reference}."
    tip = f"{meaning.text}{against} {score.num_images} pictures, by {score.network}.{_interval(meaning, score)}"
    return {
        "meaning": meaning,
        "value": value,
        "shown": meaning.shown(value, score.low, score.high) if meaning.first else meaning.pattern.format(value),
        "tip": tip,
        "before": None if started is None else meaning.pattern.format(started.value),
        "mark": "" if started is None else "fell" if value < started.value else "rose",
    }


def _interval(meaning: ScoreInfo, score: ScoreEntry) -> str:
    """Where other pictures of the same generator would likely put the figure."""
    low, high = (meaning.pattern.format(end) for end in (score.low, score.high))
    return f" 95% interval {low} to {high}."
