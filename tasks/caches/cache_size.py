"""Caches kept small: what was not written for longest goes first. Imports no torch."""

from __future__ import annotations

from contextlib import suppress

from tasks.config.project import HERE

MOST_BYTES = 4 << 30


def prune(most_bytes: int = MOST_BYTES) -> None:
    """Remove the features of pictures that were not written for longest, until the folder is small enough."""
    with suppress(OSError):
        found = [(path.stat(), path) for path in HERE.feature_cache.glob("*.npz")]
        total = 0
        for stat, path in sorted(found, key=lambda entry: -entry[0].st_mtime_ns):
            total += stat.st_size
            if total > most_bytes:
                path.unlink()
