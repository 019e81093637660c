"""Finished rows on disk, as nights leave them, without a night."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.config.project import HERE
from tasks.store import row_folder
from tasks.store.record import RETRIEVAL_NAME, Retrieval, write_entry
from tasks.store.row_folder import Keys
from tests.records import CONFIG, PART, make_evaluation, make_making, make_score

KEYS = Keys(making="0" * 64, evaluation="1" * 64, retrieval="2" * 64)
OTHER_KEYS = Keys(making="3" * 64, evaluation="4" * 64, retrieval="5" * 64)
WEIGHTS_NAME = "generator.safetensors"


def fill_made(
    folder: Path, domain: str = "sketch", keys: Keys = KEYS, weights: bytes = b"weights", **making: Any
) -> None:
    """Write what was made of a row into a folder; further fields of its record by name."""
    (folder / WEIGHTS_NAME).write_bytes(weights)
    (folder / "trace.csv").write_text("step,loss\n1,0.5\n")
    changes: Mapping[str, Any] = {"key": keys.making, "files": {}, **making}
    row_folder.write_making(folder, make_making(domain, "a pencil sketch", CONFIG, PART, changes))


def fill_judged(folder: Path, domain: str = "sketch", keys: Keys = KEYS, **evaluation: Any) -> None:
    """Write what was judged of it, retrieval among the night's prompts aside."""
    for name in row_folder.JUDGED_NAMES:
        (folder / name).write_text(name)
    changes: Mapping[str, Any] = {"key": keys.evaluation, "making_key": keys.making, **evaluation}
    scores = {"directional_similarity": make_score(0.5)}
    row_folder.write_evaluation(folder, make_evaluation(domain, scores, changes))


def fill_retrieved(folder: Path, domain: str = "sketch", keys: Keys = KEYS) -> None:
    """Write which prompts its pictures find."""
    retrieval = Retrieval(domain=domain, key=keys.retrieval, score=make_score(0.25), nearest={"a pencil sketch": 16})
    write_entry(folder / RETRIEVAL_NAME, retrieval)


def publish_made(domain: str = "sketch", keys: Keys = KEYS, weights: bytes = b"weights", **making: Any) -> Path:
    """A row that is made and not judged; returns its folder."""
    partial = row_folder.partial_dir(domain)
    fill_made(partial, domain, keys, weights, **making)
    row_folder.publish(partial, domain)
    return HERE.adapted / domain


def publish_whole(domain: str = "sketch", keys: Keys = KEYS, weights: bytes = b"weights", **making: Any) -> Path:
    """A row that is made and judged; returns its folder."""
    folder = publish_made(domain, keys, weights, **making)
    fill_judged(folder, domain, keys)
    fill_retrieved(folder, domain, keys)
    return folder
