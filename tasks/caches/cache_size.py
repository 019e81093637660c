"""Caches kept small: what was not written for longest goes first. Imports no torch."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tasks.config.project import HERE

MOST_BYTES = 4 << 30
MOST_SHOWN_BYTES = 256 << 20  # fifty full pages


def prune(most_bytes: int = MOST_BYTES, most_shown_bytes: int = MOST_SHOWN_BYTES) -> None:
    """Remove features of pictures, and pictures of reports, until their folders are small enough."""
    _prune(HERE.feature_cache, "*.npz", most_bytes)
    _prune(HERE.shown_cache, "*.webp", most_shown_bytes)


def _prune(folder: Path, pattern: str, most_bytes: int) -> None:
    with suppress(OSError):
        found = [(path.stat(), path) for path in folder.glob(pattern)]
        total = 0
        for stat, path in sorted(found, key=lambda entry: -entry[0].st_mtime_ns):
            total += stat.st_size
            if total > most_bytes:
                path.unlink()
