"""The identity of a file: sha256 of its bytes. Imports nothing heavy, so that planning a night is quick."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256_file(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes.

    Raises:
        OSError: it cannot be read; the caller knows what it was meant to be.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
