"""Where the bytes of finished rows go, and how many more fit there: a folder may be a link to another disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tasks.config.project import HERE


@dataclass(frozen=True, kw_only=True)
class Disk:
    """One disk that rows grow on."""

    folder: Path
    """On it, and there."""
    need: int
    """Bytes to come."""
    free: int
    """Bytes left."""


def disks(num_bytes: int) -> list[Disk]:
    """Where results of this size go, that of the working copy first: DVC's cache has another copy of each."""
    found: dict[int, Disk] = {}
    for place in (HERE.adapted, HERE.dvc_cache):
        folder = _existing(place.resolve())
        device = device_of(folder)
        need = num_bytes + (found[device].need if device in found else 0)
        folder = found[device].folder if device in found else folder
        found[device] = Disk(folder=folder, need=need, free=shutil.disk_usage(folder).free)
    return list(found.values())


def device_of(folder: Path) -> int:
    """The disk that a folder is on."""
    return folder.stat().st_dev


def _existing(path: Path) -> Path:
    """The innermost folder of a path that is there already."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
