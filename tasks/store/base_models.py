"""Copies of the generators that rows rebuild from, kept by content beside the domains.

They travel with the domains, and outlive a change of `generator.weights`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from nada.atomic import replacing, writing
from nada.hashing import sha256_file
from tasks.config.project import HERE
from tasks.store.record import MAKING_NAME, Making, RecordError, read_entry


def keep(generator_path: Path) -> None:
    """Keep a copy of a canonical generator under its sha256.

    Raises:
        OutputError: it cannot be read or written.
    """
    with writing(HERE.base_models):
        sha256 = sha256_file(generator_path)
        kept = HERE.base_models / f"{sha256}.safetensors"
        if kept.is_file() and sha256_file(kept) == sha256:
            return
        with replacing(kept) as partial:
            shutil.copyfile(generator_path, partial)


def find(sha256: str) -> Path | None:
    """A canonical generator with these bytes: the kept copy, or one that was prepared for rows to start from."""
    for path in (HERE.base_models / f"{sha256}.safetensors", *sorted(HERE.pretrained.glob("*.safetensors"))):
        if path.is_file() and sha256_file(path) == sha256:
            return path
    return None


def prune() -> list[Path]:
    """Remove generators that no domain rebuilds from; returns their paths.

    A record that cannot be read may need any of them: then all stay.

    Raises:
        OutputError: one cannot be removed.
    """
    needed: set[str] = set()
    for path in HERE.adapted.glob(f"*/{MAKING_NAME}"):
        try:
            needed.update(read_entry(path, Making).bases)
        except RecordError:
            return []
    removed = [path for path in sorted(HERE.base_models.glob("*.safetensors")) if path.stem not in needed]
    for path in removed:
        with writing(path):
            path.unlink()
    return removed
