"""Architectures and networks of every family: made, and read from plain data.

Code that needs no more than the `Generator` protocol names that; code that stores or copies networks names these.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from importlib import import_module
from typing import Annotated, Any

import pydantic
from pydantic import Field, TypeAdapter

from nada.errors import CheckpointError, one_line, shown
from nada.generators.families import FAMILIES, Family
from nada.generators.mapping_network import MappedNetwork
from nada.generators.protocol import NetworkConfig

Architecture = NetworkConfig
Network = MappedNetwork


def _classes(family: Family) -> tuple[Any, Callable[[Architecture], Network]]:
    """Its configuration and its network."""
    module = import_module(family.module)
    return getattr(module, family.config), getattr(module, family.network)


_CLASSES = {name: _classes(family) for name, family in FAMILIES.items()}
_CONFIGS: Any = reduce(operator.or_, [config for config, _ in _CLASSES.values()])
_ARCHITECTURE: TypeAdapter[Architecture] = TypeAdapter(Annotated[_CONFIGS, Field(discriminator="family")])


def make_network(config: Architecture) -> Network:
    """A generator of random weights."""
    _, network = _CLASSES[config.family]
    return network(config)


def parse_architecture(where: object, content: Any) -> Architecture:
    """A configuration from plain data, such as a file's header; `family` decides which.

    Args:
        where: the file, for messages.
        content: a dict of the fields.

    Raises:
        CheckpointError: an unknown family or field, or a value out of range.
    """
    try:
        return _ARCHITECTURE.validate_python(content)
    except pydantic.ValidationError as err:
        raise CheckpointError(f"{where}: architecture: {_problem(err)}") from err


EXPECTED = {
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected {ge} or more",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected {le} or less",
    "literal_error": "expected {expected}",
    "extra_forbidden": "no such field is known",
}
"""What each kind of error says; of any other, it is a value of the wrong type."""
TYPES = {"int": "a whole number", "float": "a number", "finite": "a finite number", "bool": "true or false"}


def _problem(error: pydantic.ValidationError) -> str:
    """The first of the problems, in words."""
    first = error.errors()[0]
    kind, context, value = first["type"], first.get("ctx", {}), shown(first["input"])
    if kind == "value_error":
        return one_line(context["error"])
    if kind.startswith("union_tag"):
        family = first["input"].get("family") if isinstance(first["input"], dict) else None
        return f"the family is {shown(family)}; known are {', '.join(FAMILIES)}"
    field = ".".join(str(part) for part in first["loc"][1:])  # the first part is the family
    if not field:
        return f"it is {value}; expected a table of fields"
    if kind == "missing":
        return f"{shown(field)} is missing"
    expected = EXPECTED.get(kind, "expected " + TYPES.get(kind.split("_")[0], "another kind of value"))
    return f"{shown(field)} is {value}; {expected.format(**context)}"
