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
        first = err.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:])  # the first part is the family
        of_field, value = (f" field {shown(field)}", f" ({shown(first['input'])})") if field else ("", "")
        raise CheckpointError(f"{where}: architecture{of_field}: {one_line(first['msg'])}{value}") from err
