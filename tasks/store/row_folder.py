"""Finished rows on disk, each whole or absent, recognised by content.

`weights/adapted/<domain>/` holds generator.safetensors, metrics.json, samples.png, trace.csv and row.json,
and probes.csv with `adapt.stop: auto`.
`weights/adapted/_parents/<sha256>.safetensors` are the generators that stored differences rebuild from, so that the
folder is whole by itself, whatever params.yaml says later. row.json is the record:

    {"format": 1, "key": ..., "domain": ..., "row": {...}, "adapt": {...}, "seed": 0,
     "scores": {name: {"value", "low", "high", "reference", "num_images", "network", "resizing"}},
     "nearest": {prompt: pictures nearest to it among the night's prompts, where there are any},
     "absent": {network: why it did not judge},
     "storage": {"kind": "delta", "parent": sha256, "rounding": null},
     "choice": {"step", "trained", "why", "probes", "seconds"}, or null where no checkpoint was chosen,
     "seconds": {"load", "adapt", "judge", "total"}, "device": "cpu", "threads": 1, "micro_batch": 8,
     "gpu_bytes": the most that it took of a GPU, null on a CPU,
     "provenance": {name: hash or version}, "all_targets": {domain: prompt}, "finished": ISO 8601,
     "files": {name: {"sha256", "bytes"}}}                    # written by write_record

A row is filled in `.partial-<domain>-<pid>`, then renamed; row.json is written last.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nada.atomic import replacing, writing
from nada.hashing import sha256_file
from tasks.config.project import HERE
from tasks.plan.keys import clip_hashes, row_key

__all__ = [
    "RECORD_NAME",
    "WEIGHTS_NAME",
    "Record",
    "check_writable",
    "clip_hashes",
    "for_reports",
    "is_finished",
    "is_whole",
    "leftovers",
    "partial_dir",
    "process_lives",
    "prune",
    "publish",
    "read_record",
    "row_key",
    "state_path",
    "sweep",
    "write_record",
]

RECORD_NAME = "row.json"
WEIGHTS_NAME = "generator.safetensors"
FORMAT = 1

Record = dict[str, Any]

_UNFINISHED = re.compile(r"\.(partial|old)-.+-(?P<pid>\d+)")


def is_finished(domain: str, key: str) -> bool:
    """Whether the row's result is there, whole, and made from exactly this key.

    A difference rebuilds from the generator whose hash is in the key: whoever knows the key has that generator.
    """
    return is_whole(HERE.adapted / domain, domain, key)


def is_whole(folder: Path, domain: str, key: str) -> bool:
    """Whether a folder holds a domain's result, made from exactly this key.

    Every file that the record lists must have its size and sha256; further files are ignored.
    """
    try:
        record = _read_record(folder)
        files: dict[str, Any] = record["files"]
        if record["key"] != key or record["domain"] != domain or WEIGHTS_NAME not in files:
            return False
        return all(_matches(folder / name, entry) for name, entry in files.items())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False  # absent, truncated or of another shape: the row is simply done again


def read_record(domain: str) -> Record:
    """row.json of a published domain.

    Raises:
        OSError: there is none.
        ValueError: it is truncated, or no record.
    """
    return _read_record(HERE.adapted / domain)


def for_reports(record: Record) -> Record:
    """A record without the prompts that its row was judged among: hundreds in each of thousands of records."""
    return {name: value for name, value in record.items() if name != "all_targets"}


def _read_record(folder: Path) -> Record:
    record = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        raise ValueError(f"{folder / RECORD_NAME}: not a record")
    return record


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


def write_record(folder: Path, record: Mapping[str, Any]) -> Record:
    """Write row.json last, with size and sha256 of every other file of the folder; returns what it wrote.

    Raises:
        OutputError: the folder cannot be written.
    """
    with writing(folder):
        names = sorted(path.name for path in folder.iterdir() if path.name != RECORD_NAME)
        files = {name: {"sha256": sha256_file(folder / name), "bytes": _size(folder / name)} for name in names}
        whole: Record = {"format": FORMAT, **record, "files": files}
    with replacing(folder / RECORD_NAME) as partial:
        partial.write_text(json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return whole


def publish(partial: Path, domain: str) -> None:
    """Rename a filled folder into place; an old result is moved aside first and removed afterwards.

    Between the two renames the domain is absent, never half old and half new.

    Raises:
        OutputError: the folder cannot be written; an old result is put back.
    """
    final, old = HERE.adapted / domain, HERE.adapted / f".old-{domain}-{os.getpid()}"
    with writing(final):
        shutil.rmtree(old, ignore_errors=True)
        replaces = final.exists()
        if replaces:
            final.rename(old)
        try:
            partial.rename(final)
        except OSError:
            if replaces:
                old.rename(final)
            raise
        shutil.rmtree(old, ignore_errors=True)


def leftovers(domains: set[str]) -> list[str]:
    """Names of finished domains that are not among the CSV's. Foreign folders are none of ours."""
    others = [path for path in _folders() if not path.name.startswith(".") and path.name not in domains]
    return [path.name for path in others if any((path / name).is_file() for name in (RECORD_NAME, WEIGHTS_NAME))]


def prune(domains: set[str]) -> list[str]:
    """Remove results and saved states of rows that left the CSV; returns the names of the results."""
    removed = leftovers(domains)
    for name in removed:
        with writing(HERE.adapted / name):
            shutil.rmtree(HERE.adapted / name)
    for path in set(HERE.unfinished.glob("*.safetensors")) - {state_path(domain) for domain in domains}:
        with writing(path):
            path.unlink()
    return removed


def state_path(domain: str) -> Path:
    """Where a row in the making keeps its state (`tasks.row.resume_state`)."""
    return HERE.unfinished / f"{domain}.safetensors"


def sweep() -> None:
    """Remove what processes that no longer run left half done: at the start and at the end of a night."""
    for folder in _folders():
        unfinished = _UNFINISHED.fullmatch(folder.name)
        if unfinished and not process_lives(int(unfinished["pid"])):
            shutil.rmtree(folder, ignore_errors=True)


def check_writable() -> None:
    """Make HERE.adapted and try to write in it.

    Raises:
        OutputError: it cannot be written.
    """
    probe = HERE.adapted / f".partial-probe-{os.getpid()}"
    with writing(HERE.adapted):
        probe.mkdir(parents=True, exist_ok=True)
        probe.rmdir()


def process_lives(pid: int) -> bool:
    """Whether a process of this machine has this id.

    >>> process_lives(os.getpid())
    True
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _folders() -> list[Path]:
    if not HERE.adapted.is_dir():
        return []
    return sorted(path for path in HERE.adapted.iterdir() if path.is_dir() and not path.is_symlink())


def _matches(path: Path, entry: Mapping[str, Any]) -> bool:
    return bool(_size(path) == entry["bytes"] and sha256_file(path) == entry["sha256"])


def _size(path: Path) -> int:
    return path.stat().st_size
