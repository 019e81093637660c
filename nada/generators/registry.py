"""The families of generators: one union of their architectures, one of their networks.

Code that needs no more than the `Generator` protocol names that; code that stores or copies networks names these.
"""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from pydantic import Field, TypeAdapter

from nada.errors import CheckpointError, one_line, shown
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from nada.generators.stylegan3 import StyleGAN3, StyleGAN3Config

Architecture = Annotated[StyleGAN2Config | StyleGAN3Config, Field(discriminator="family")]
Network = StyleGAN2 | StyleGAN3

_ARCHITECTURE: TypeAdapter[StyleGAN2Config | StyleGAN3Config] = TypeAdapter(Architecture)


def make_network(config: Architecture) -> Network:
    """A generator of random weights."""
    return StyleGAN3(config) if isinstance(config, StyleGAN3Config) else StyleGAN2(config)


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
