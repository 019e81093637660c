"""The families of generators by name. A new one is a line here and the module that it names; nothing else knows it.

Without torch, so that a plan can ask which sources a generator runs.
"""

from __future__ import annotations

from typing import NamedTuple

from nada.errors import CheckpointError, shown


class Family(NamedTuple):
    """Where the classes of a family are; `nada.generators.registry` imports them."""

    module: str
    config: str
    """Its subclass of `NetworkConfig`, whose `family` is the family's name."""
    network: str
    """Its subclass of `MappedNetwork`, made from such a configuration."""


FAMILIES = {
    "stylegan2": Family("nada.generators.stylegan2", "StyleGAN2Config", "StyleGAN2"),
    "stylegan3": Family("nada.generators.stylegan3", "StyleGAN3Config", "StyleGAN3"),
    "mobilestylegan": Family("nada.generators.mobilestylegan.network", "MobileStyleGANConfig", "MobileStyleGAN"),
}


def family_module(family: str) -> str:
    """The module of a family's network, by the `family` of a configuration or of a file's header.

    >>> family_module("stylegan2")
    'nada.generators.stylegan2'

    Raises:
        CheckpointError: there is no such family.
    """
    if family not in FAMILIES:
        raise CheckpointError(f"generator of the family {shown(family)}; known are {', '.join(FAMILIES)}")
    return FAMILIES[family].module
