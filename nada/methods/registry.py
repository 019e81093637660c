"""Every way of making domains, by name: a line each."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from nada.methods.base import Method

METHODS = {
    "adapt": "nada.methods.adapt.method:Adapt",
    "mapper": "nada.methods.mapper.method:Mapper",
    "directions": "nada.methods.directions.method:Directions",
    "optimise": "nada.methods.optimise.method:Optimise",
}
"""Name in the CSV -> `module:class`."""


@cache
def load_method(place: str) -> Method[Any, Any]:
    """The method at a place, `module:class`."""
    module, name = place.split(":")
    method: Method[Any, Any] = getattr(import_module(module), name)()
    return method


def find_method(name: str) -> Method[Any, Any]:
    """The method of a name that the registry has."""
    return load_method(METHODS[name])
