"""What computes rows on a machine: the versions installed there, and the method's source."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import metadata

from tasks.plan.keys import method_hash

DISTRIBUTIONS = ("nada", "torch", "open_clip_torch", "numpy", "pillow")
METHOD = "sha256 of method"


def installed() -> dict[str, str]:
    """Names -> versions of this machine, and the hash of its `nada/`."""
    found = {"python": sys.version.split()[0]}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # run from a checkout that is not installed
    return {**found, METHOD: method_hash()}


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """What another machine has installed otherwise, one text each.

    >>> differences({"torch": "2.13.0", "nada": "0.1.0"}, {"torch": "2.12.0", "nada": "0.1.0"})
    ['torch 2.12.0 in place of 2.13.0']
    """
    return [
        f"{name} {there.get(name, 'missing')} in place of {here.get(name, 'none')}"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]
