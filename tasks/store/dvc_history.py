"""Rows of earlier nights in DVC's cache, found by their content key and brought back instead of trained.

DVC restores a stage that ran before with the same inputs, but not one whose outputs persist, as a night's do. Its
cache is plain files named by their md5, and a version of a folder is a JSON list of {"md5", "relpath"}.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from nada.errors import InputError
from tasks.store import row_folder, versioning
from tasks.store.plain_data import read_json
from tasks.store.record import MAKING_NAME

Files = dict[str, Path]
"""Names within a row's folder -> their files in the cache."""


def restore(keys: Mapping[str, str]) -> list[str]:
    """Publish rows that were versioned with exactly these keys, every file checked against their records.

    What was judged of them comes along; whether it is of today's inputs is found out as of any row.

    Args:
        keys: domain -> key of making of a row that is not there.

    Returns:
        The domains that are there now.

    Raises:
        OutputError: a row cannot be written.
    """
    cache = None
    with contextlib.suppress(InputError):  # a night needs no DVC that works
        cache = versioning.cache_dir(Path.cwd()) if keys else None
    restored: dict[str, None] = {}
    for domain, files in _rows(cache, set(keys)) if cache else ():
        if domain not in restored and _publish(domain, keys[domain], files):
            restored[domain] = None
    return list(restored)


def _rows(cache: Path, domains: set[str]) -> Iterator[tuple[str, Files]]:
    """Every version of these domains' folders, the latest first."""
    objects = cache / "files" / "md5"
    for listing in sorted(objects.glob("??/*.dir"), key=lambda path: -path.stat().st_mtime):
        rows: dict[str, Files] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # not one of ours, or damaged
            for entry in read_json(listing):
                domain, _, name = entry["relpath"].partition("/")
                if domain in domains and name and "/" not in name:
                    rows.setdefault(domain, {})[name] = objects / entry["md5"][:2] / entry["md5"][2:]
        yield from rows.items()


def _publish(domain: str, key: str, files: Files) -> bool:
    """Copy a row's files into place, if they are all there and make up a whole row with this key."""
    try:
        if read_json(files[MAKING_NAME])["key"] != key:
            return False
    except (OSError, ValueError, TypeError, KeyError):
        return False
    partial = row_folder.partial_dir(domain)
    try:
        for name, source in files.items():
            shutil.copyfile(source, partial / name)
        if not row_folder.is_made(partial, domain, key):
            return False
        row_folder.publish(partial, domain)
        return True
    except OSError:
        return False  # a file is not in the cache any more
    finally:
        shutil.rmtree(partial, ignore_errors=True)
