"""The night as one HTML file that needs nothing else: pictures and curves are inside, no address is called."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nada.atomic import replacing
from nada.errors import NadaError
from tasks.config.project import HERE
from tasks.config.row import COLUMNS
from tasks.plan.wording import count, listed
from tasks.report.cards import distinct_sources, make_card, worst_first
from tasks.report.charts import confusion, in_columns
from tasks.report.metrics import leaderboard
from tasks.report.score_catalogue import SCORES, at_a_glance
from tasks.report.triage import CONTENT, KINDS
from tasks.report.variants import variants_shown
from tasks.report.wording import lasted
from tasks.store.plain_data import read_json
from tasks.store.record import Record
from tasks.variants.names import domain_of
from tasks.variants.told import Family

TEMPLATE = "report.html.j2"
NIGHT_NAME = "night.json"
REPORT_NAME = "index.html"
LISTS = ("trained", "current", "left", "held", "columns")
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
    held: tuple[str, ...] = ()
    """Rows that were not tried, because rows like them failed alike."""
    stopped: str = ""
    """Why they were not, in a line."""
    commands: dict[str, str] = field(default_factory=dict)
    """What -> the line that opens it."""
    columns: tuple[str, ...] = COLUMNS
    """Of its CSV."""


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
        lists = {name: tuple(content[name]) for name in LISTS if name in content}
        return Night(**{**content, **lists})
    except (OSError, ValueError, TypeError, KeyError) as err:
        raise NadaError(f"{path}: no readable record of a night ({err})") from err


def write_report(
    records: Sequence[Record],
    night: Night,
    path: Path,
    adapted_dir: Path = HERE.adapted,
    families: Mapping[str, Family] | None = None,
) -> Path:
    """Write the report, whole or not at all.

    Args:
        records: of the finished rows, in any order.
        night: the night, with its failures.
        path: the HTML file.
        adapted_dir: where the rows' folders are.
        families: domain -> its variants, of domains that have several.

    Raises:
        OutputError: it cannot be written.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,  # prompts are other people's texts
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["in_columns"] = in_columns
    by_domain = {record.domain: record for record in records}
    ranked = [by_domain[entry["domain"]] for entry in leaderboard(records)]
    pictured = pictured_domains([record.domain for record in ranked], night)
    in_table = [record for place, record in enumerate(ranked) if place < LINES or record.domain in pictured]
    num_cards = {record.domain: len(pictured) if record.domain in pictured else 0 for record in in_table}
    cards = worst_first(
        [
            make_card(
                record,
                adapted_dir / record.domain,
                num_cards=num_cards[record.domain],
                is_new=record.domain in night.trained,
                columns=night.columns,
                variants=variants_shown((families or {}).get(record.domain), adapted_dir, num_cards[record.domain]),
            )
            for record in in_table
        ]
    )
    verdicts = Counter(["failed"] * len(night.failures) + [card["triage"].kind for card in cards])
    page = environment.get_template(TEMPLATE).render(
        night=night,
        cards=cards,
        sources=distinct_sources(cards),
        glance=at_a_glance({name for record in records for name in record.scores}),
        meanings=[meaning for meaning in SCORES if any(meaning.name in record.scores for record in records)],
        lasted=lasted(night.seconds),
        summary=summary(night, len(records)),
        undecided=undecided(verdicts),
        num_shown=count(len(cards) + len(night.failures), "domain"),
        left=listed(night.left),
        notes=[*absent(records), *left_out(records)],
        cut="" if len(pictured) == len(records) else cut(len(records), len(in_table), len(pictured)),
        verdicts={kind: verdicts[kind] for kind in reversed(KINDS) if verdicts[kind]},
        confusion=confusion([card["record"] for card in cards if card["is_pictured"]]),
    )
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def undecided(verdicts: Mapping[str, int]) -> str:
    """How many rows want somebody to look at them; empty where none does."""
    num = sum(verdicts[kind] for kind in KINDS if kind not in CONTENT)
    if num == 0:
        return ""
    return "1 needs a decision and comes first" if num == 1 else f"{num} need a decision and come first"


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
    missing = {domain_of(name) for name in (*(failure.domain for failure in night.failures), *night.left, *night.held)}
    missing -= {*night.trained, *night.current}  # some variants of a domain are enough
    parts = [f"{num_records} of {count(num_records + len(missing), 'domain')} ready"]
    parts += [f"{len(night.trained)} trained in this night"] if night.trained else []
    parts += [f"{len(night.current)} kept from before"] if night.current else []
    parts += [f"{len(night.failures)} failed"] if night.failures else []
    parts += [f"{len(night.left)} left for the next night"] if night.left else []
    parts += [f"{len(night.held)} not tried"] if night.held else []
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
