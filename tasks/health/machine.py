"""The machine: its processors, memory and disks, Python and the packages. Without a GPU no torch is imported."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from tasks.health.finding import Finding, missing, note, ok
from tasks.plan.devices import cores
from tasks.workers.gpus import gpus

PACKAGE = "nada"
SHOWN = ("torch", "open_clip_torch", "prefect", "mlflow", "dvc")
GIB = 1 << 30
LITTLE_MEMORY, LITTLE_DISK, NO_DISK = 3 * GIB, 5 * GIB, GIB // 2


def look_at_machine() -> Iterator[Finding]:
    """Everything that no project changes."""
    yield _processors()
    yield from _memory()
    yield _disk()
    yield ok("Python", f"{platform.python_version()} ({sys.prefix})")
    yield from _packages()


def _processors() -> Finding:
    found, num = gpus(), cores()
    number = f"{num} core{'s' if num != 1 else ''}"
    if found:
        return ok("devices", f"{', '.join(found)} and {number}")
    return ok("devices", f"{number}, no GPU: small generators take minutes a row, a StyleGAN2 of 1024 px hours")


def _memory() -> Iterator[Finding]:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # a system that does not say
        return
    free = _available() or total
    says = f"{total / GIB:.0f} GiB, {free / GIB:.0f} GiB of it free"
    few = note("memory", says, "a worker takes 1 to 2 GiB and more for large pictures; set night.workers: 1")
    yield few if free < LITTLE_MEMORY else ok("memory", says)


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration, IndexError):
        return None


def _disk() -> Finding:
    if not os.access(Path.cwd(), os.W_OK):
        return missing("disk", "this folder cannot be written", "chmod u+w .")
    free = shutil.disk_usage(Path.cwd()).free
    says = f"{free / 1e9:.0f} GB free here"
    if free < NO_DISK:
        return missing("disk", says, "free some space: nada plan says what a night needs")
    few = note("disk", says, "nada plan says what a night needs")
    return few if free < LITTLE_DISK else ok("disk", says)


def _packages() -> Iterator[Finding]:
    """What nada's own metadata asks for, held against what is installed."""
    try:
        wanted = [Requirement(text) for text in metadata.requires(PACKAGE) or []]
        own = metadata.version(PACKAGE)
    except (metadata.PackageNotFoundError, InvalidRequirement):
        yield note("packages", "nada runs from a checkout that is not installed", "pip install --editable .")
        return
    bad = {}
    for one in wanted:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        found = _version(one.name)
        if found is None or not one.specifier.contains(found, prereleases=True):
            bad[f"{one.name}{one.specifier}"] = f"{one.name} {found or 'is not there'}"
    if bad:
        quoted = " ".join(f"'{text}'" for text in bad)
        yield missing("packages", f"{', '.join(bad.values())}", f"pip install {quoted}")
    shown = [f"{name} {version}" for name in SHOWN if (version := _version(name))]
    yield ok("versions", ", ".join([f"nada {own}", *shown]))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
