"""Named presets: a method's section with some of its options overridden.

Those of `recipes.yaml` beside this come with nada; a project's own, in its params.yaml, go before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from nada.methods.registry import METHODS
from tasks.config.yaml_reader import read_yaml

METHOD_KEY = "method"
"""In a recipe: whose section it overrides."""
DEFAULT_METHOD = next(iter(METHODS))
"""Of recipes and rows that name none: the first of the registry."""
DEFAULTS = Path(__file__).with_name("recipes.yaml")


@cache
def default_recipes() -> Mapping[str, Mapping[str, Any]]:
    """The recipes that come with nada, by name."""
    return read_yaml(DEFAULTS, "recipes", "install nada again")


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
