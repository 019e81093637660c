"""What computes rows on a machine: the versions installed there, and the method's source."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import metadata

from nada.generators.families import FAMILIES
from nada.methods.registry import METHODS, find_method
from tasks.keys.code import code_hash
from tasks.keys.inputs import EVALUATION_ENTRIES, MAKING_ENTRIES

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
    return {**found, METHOD: all_code()}


def all_code() -> str:
    """Hash of all code that can decide a result here, whatever the method and the family."""
    methods = [find_method(name).entry for name in METHODS]
    return code_hash([*methods, *MAKING_ENTRIES, *EVALUATION_ENTRIES, *(family.module for family in FAMILIES.values())])


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
