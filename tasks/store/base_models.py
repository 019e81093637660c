"""Copies of the generators that stored differences rebuild from, kept by content beside the domains.

They travel with the domains, and outlive a change of `generator.weights`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from nada.atomic import replacing, writing
from nada.hashing import sha256_file
from tasks.config.project import HERE
from tasks.store.row_folder import WEIGHTS_NAME, read_record


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


def prune() -> list[Path]:
    """Remove generators that no domain rebuilds from; returns their paths.

    A record that cannot be read may need any of them: then all stay.

    Raises:
        OutputError: one cannot be removed.
    """
    needed = set()
    for path in HERE.adapted.glob(f"*/{WEIGHTS_NAME}"):
        try:
            needed.add(read_record(path.parent.name).get("storage", {}).get("parent"))
        except (OSError, ValueError, AttributeError):
            return []
    removed = [path for path in sorted(HERE.base_models.glob("*.safetensors")) if path.stem not in needed]
    for path in removed:
        with writing(path):
            path.unlink()
    return removed
