"""Copies of the generators that stored differences rebuild from, kept by content beside the domains.

They travel with the domains, and outlive a change of `generator.weights`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from nada.atomic import replacing, writing
from nada.checkpoints.base_model import PARENTS_NAME
from nada.hashing import sha256_file
from tasks.store.row_folder import ADAPTED_DIR, WEIGHTS_NAME, read_record

PARENTS_DIR = ADAPTED_DIR / PARENTS_NAME


def keep(generator_path: Path) -> None:
    """Keep a copy of a canonical generator under its sha256.

    Raises:
        OutputError: it cannot be read or written.
    """
    with writing(PARENTS_DIR):
        sha256 = sha256_file(generator_path)
        kept = PARENTS_DIR / f"{sha256}.safetensors"
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
    for path in ADAPTED_DIR.glob(f"*/{WEIGHTS_NAME}"):
        try:
            needed.add(read_record(path.parent.name).get("storage", {}).get("parent"))
        except (OSError, ValueError, AttributeError):
            return []
    removed = [path for path in sorted(PARENTS_DIR.glob("*.safetensors")) if path.stem not in needed]
    for path in removed:
        with writing(path):
            path.unlink()
    return removed
