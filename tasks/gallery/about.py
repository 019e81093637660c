"""What a gallery tells outsiders of a domain and of the generator behind it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nada.errors import NadaError
from tasks.config.model import Params
from tasks.download.registry import load_registry
from tasks.report.triage import triage
from tasks.report.wording import lasted
from tasks.store import row_folder
from tasks.store.record import RETRIEVAL_SCORE, Making, Record, RecordError

SURE = 20
"""Pictures from which a share of them is told in per cent."""


class Fact(NamedTuple):
    """A figure and what it says."""

    name: str
    value: str


class Licence(NamedTuple):
    """Whose terms hold for the generator."""

    name: str
    dataset: str
    licence: str
    terms: str


def verdict(domain: str) -> str:
    """The judge's, in a word; empty where it was not judged."""
    with suppress(RecordError, KeyError, ZeroDivisionError):
        return triage(row_folder.read_record(domain)).kind
    return ""


def facts(making: Making) -> list[Fact]:
    """What outsiders understand of how it was made and how it was judged."""
    found: list[Fact] = []
    with suppress(RecordError):
        found += _judged(row_folder.read_record(making.domain))
    steps = f"{making.kept_step} steps, " if making.kept_step else ""
    found.append(Fact("Made by", f"{making.method}, {steps}{lasted(sum(making.seconds.values()))}"))
    num_bytes = sum(entry.num_bytes for entry in making.weights.values())
    if num_bytes:
        found.append(Fact("Takes", f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:.0f} kB"))
    return found


def _judged(record: Record) -> list[Fact]:
    found, scores = [], record.scores
    if (score := scores.get(RETRIEVAL_SCORE)) is not None and score.num_images >= SURE and record.row.target:
        found.append(Fact("Recognised", f"{score.value:.0%} of {score.num_images} pictures, among all prompts"))
    if (kept := scores.get("structure_ratio")) is not None:
        found.append(Fact("Variety kept", f"{min(kept.value, 1.0):.0%} of the source's"))
    return found


def licence_of(params: Params) -> Licence | None:
    """Of the base generator, where the registry has a file of that name; it may be absent or damaged."""
    name = Path(params.generator.weights).name
    with suppress(NadaError):
        for key, entry in load_registry().items():
            if entry.file == name:
                return Licence(key, entry.dataset, entry.licence, entry.terms or "")
    return None
