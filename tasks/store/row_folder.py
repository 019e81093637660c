"""Finished rows on disk, each part whole or absent, recognised by content.

`weights/adapted/<domain>/` holds what was made and, beside it, what was judged, each with a record and a key of its own
(`tasks.store.record`):

    row.json, generator.safetensors or what else its method leaves, trace.csv, probes.csv, style.webp  made
    evaluation.json, samples.webp, metrics.json, embeddings.safetensors                                judged
    retrieval.json                                                                         among a night's prompts

`weights/adapted/_parents/<sha256>.safetensors` are the generators that stored differences rebuild from, so that the
folder is whole by itself, whatever params.yaml says later.

What is made is filled in `.partial-<domain>-<pid>`, then renamed; what is judged replaces its files one by one, its
record last: between the first and the last the row counts as not judged.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nada.atomic import process_lives, writing
from nada.hashing import sha256_file
from tasks.config.project import HERE
from tasks.store.record import (
    EVALUATION_NAME,
    MAKING_NAME,
    RETRIEVAL_NAME,
    Evaluation,
    FileEntry,
    Making,
    Record,
    RecordError,
    Retrieval,
    read_entry,
    write_entry,
)
from tasks.store.record import read_record as read_record_of

SAMPLES_NAME, METRICS_NAME, EMBEDDINGS_NAME = "samples.webp", "metrics.json", "embeddings.safetensors"
JUDGED_NAMES = (SAMPLES_NAME, METRICS_NAME, EMBEDDINGS_NAME)
"""Files of an evaluation, beside its record."""
EARLIER_SAMPLES_NAME = "samples.png"
"""The sheet of rows that were judged by an earlier version."""

RowState = Literal["absent", "made", "judged", "whole"]

_UNFINISHED = re.compile(r"\.(partial|old)-.+-(?P<pid>\d+)")


@dataclass(frozen=True)
class Keys:
    """What a row's three parts are to be made from (`tasks.keys.row_keys`)."""

    making: str
    evaluation: str
    retrieval: str


def state_of(domain: str, keys: Keys) -> RowState:
    """How much of a row is there, whole, and from exactly these keys."""
    return state_in(HERE.adapted / domain, domain, keys)


def state_in(folder: Path, domain: str, keys: Keys) -> RowState:
    """The same of a folder. Every file that a record lists must have its size and sha256; others are ignored.

    A difference rebuilds from the generator whose hash is in the key: whoever knows the key has that generator.
    """
    if not is_made(folder, domain, keys.making):
        return "absent"
    if not _is_judged(folder, domain, keys):
        return "made"
    try:
        retrieval = read_entry(folder / RETRIEVAL_NAME, Retrieval)
    except RecordError:
        return "judged"
    return "whole" if (retrieval.domain, retrieval.key) == (domain, keys.retrieval) else "judged"


def is_made(folder: Path, domain: str, key: str) -> bool:
    """Whether a folder holds what was made of a domain, whole, from exactly this key."""
    try:
        making = read_entry(folder / MAKING_NAME, Making)
    except RecordError:
        return False  # absent, damaged or of another shape: the row is simply done again
    return (making.domain, making.key) == (domain, key) and bool(making.files) and all_match(folder, making.files)


def all_match(folder: Path, files: Mapping[str, FileEntry]) -> bool:
    """Whether a folder's files have their sizes and sha256; no name leaves the folder."""
    try:
        return all(Path(name).name == name and _matches(folder / name, entry) for name, entry in files.items())
    except OSError:
        return False


def read_record(domain: str) -> Record:
    """All that is known of a finished row.

    Raises:
        RecordError: a part is missing or damaged.
    """
    return read_record_of(HERE.adapted / domain)


def read_making(domain: str) -> Making:
    """How a row was made.

    Raises:
        RecordError: it is missing or damaged.
    """
    return read_entry(HERE.adapted / domain / MAKING_NAME, Making)


def write_making(folder: Path, making: Making) -> Making:
    """Write row.json last, with size and sha256 of every other file of the folder; returns what it wrote.

    Raises:
        OutputError: the folder cannot be written.
    """
    names = sorted(path.name for path in folder.iterdir() if path.name != MAKING_NAME)
    whole = making.model_copy(update={"files": _entries(folder, names)})
    write_entry(folder / MAKING_NAME, whole)
    return whole


def write_evaluation(folder: Path, evaluation: Evaluation) -> Evaluation:
    """Write evaluation.json last, with size and sha256 of its files; returns what it wrote.

    Raises:
        OutputError: the folder cannot be written.
    """
    whole = evaluation.model_copy(update={"files": _entries(folder, JUDGED_NAMES)})
    write_entry(folder / EVALUATION_NAME, whole)
    remove_earlier_sheet(folder)
    return whole


def remove_earlier_sheet(folder: Path) -> None:
    """Of an earlier version, once the row is judged anew."""
    with suppress(OSError):
        (folder / EARLIER_SAMPLES_NAME).unlink(missing_ok=True)


def sheet_path(folder: Path) -> Path:
    """The row's sheet, by whichever version it was judged."""
    return folder / (EARLIER_SAMPLES_NAME if (folder / EARLIER_SAMPLES_NAME).is_file() else SAMPLES_NAME)


def partial_dir(domain: str) -> Path:
    """A fresh empty folder `.partial-<domain>-<pid>` in HERE.adapted, for this process to fill.

    Raises:
        OutputError: it cannot be made.
    """
    folder = HERE.adapted / f".partial-{domain}-{os.getpid()}"
    with writing(folder):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    return folder


def publish(partial: Path, domain: str) -> None:
    """Rename a filled folder into place; an old result is moved aside first and removed afterwards.

    Between the two renames the domain is absent, never half old and half new.

    Raises:
        OutputError: the folder cannot be written; an old result is put back.
    """
    final, old = HERE.adapted / domain, HERE.adapted / f".old-{domain}-{os.getpid()}"
    with writing(final):
        _remove(old)
        replaces = os.path.lexists(final)
        if replaces:
            final.rename(old)
        try:
            partial.rename(final)
        except OSError:
            if replaces:
                old.rename(final)
            raise
        _remove(old)


def leftovers(domains: set[str]) -> list[str]:
    """Names of finished domains that are not among the CSV's. Foreign folders are none of ours."""
    others = [path for path in _folders() if not path.name.startswith(".") and path.name not in domains]
    return [path.name for path in others if (path / MAKING_NAME).is_file()]


def prune(domains: set[str]) -> list[str]:
    """Remove results and saved states of rows that left the CSV; returns the names of the results."""
    removed = leftovers(domains)
    for name in removed:
        with writing(HERE.adapted / name):
            shutil.rmtree(HERE.adapted / name)
    for path in HERE.unfinished.glob("*.safetensors*"):  # and what a kill left of one
        if path.name.partition(".safetensors")[0] not in domains:
            with writing(path):
                path.unlink()
    return removed


def state_path(domain: str) -> Path:
    """Where a row in the making keeps its state (`tasks.row.resume_state`)."""
    return HERE.unfinished / f"{domain}.safetensors"


def sweep() -> None:
    """Remove what processes that no longer run left half done: at the start and at the end of a night."""
    for path in HERE.adapted.iterdir() if HERE.adapted.is_dir() else ():
        unfinished = _UNFINISHED.fullmatch(path.name)
        if unfinished and not process_lives(int(unfinished["pid"])):
            _remove(path)


def check_writable() -> None:
    """Make HERE.adapted and try to write in it.

    Raises:
        OutputError: it cannot be written.
    """
    probe = HERE.adapted / f".partial-probe-{os.getpid()}"
    with writing(HERE.adapted):
        probe.mkdir(parents=True, exist_ok=True)
        probe.rmdir()


def make_way(folder: Path) -> None:
    """Remove folders that stand where a row's judging is to be written, and would keep it out for ever.

    Raises:
        OutputError: one cannot be removed.
    """
    for name in (*JUDGED_NAMES, EVALUATION_NAME, RETRIEVAL_NAME):
        if (path := folder / name).is_dir() and not path.is_symlink():
            with writing(path):
                shutil.rmtree(path)


def _remove(path: Path) -> None:
    """Whatever it is; what cannot be removed stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _folders() -> list[Path]:
    if not HERE.adapted.is_dir():
        return []
    return sorted(path for path in HERE.adapted.iterdir() if path.is_dir() and not path.is_symlink())


def _is_judged(folder: Path, domain: str, keys: Keys) -> bool:
    try:
        evaluation = read_entry(folder / EVALUATION_NAME, Evaluation)
    except RecordError:
        return False
    known = (evaluation.domain, evaluation.making_key, evaluation.key)
    return known == (domain, keys.making, keys.evaluation) and all_match(folder, evaluation.files)


def _entries(folder: Path, names: Sequence[str]) -> dict[str, FileEntry]:
    with writing(folder):
        return {name: FileEntry(sha256=sha256_file(folder / name), num_bytes=_size(folder / name)) for name in names}


def _matches(path: Path, entry: FileEntry) -> bool:
    return path.is_file() and _size(path) == entry.num_bytes and sha256_file(path) == entry.sha256


def _size(path: Path) -> int:
    return path.stat().st_size
