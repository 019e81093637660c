"""Named presets: a method's section with some of its options overridden."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nada.methods.registry import METHODS

METHOD_KEY = "method"
"""In a recipe: whose section it overrides."""
DEFAULT_METHOD = next(iter(METHODS))
"""Of recipes and rows that name none: the first of the registry."""


def merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A section with overrides; sections within are merged key by key.

    >>> merged({"iterations": 300, "selection": {"k": "all", "batch_size": 8}}, {"selection": {"k": 3}})
    {'iterations': 300, 'selection': {'k': 3, 'batch_size': 8}}
    """
    inner = {
        name: merged(base[name], value)
        for name, value in overrides.items()
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
    }
    return {**base, **overrides, **inner}
