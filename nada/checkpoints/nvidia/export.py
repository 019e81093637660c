"""NVIDIA's `.pkl` from our generator, as the loaders of stylegan2-ada-pytorch and stylegan3 expect it.

Their persistence stores each module as its attributes and the source text of its class, which the loader executes.
Our source text imports their class from the repository that opens the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from nada.atomic import replacing
from nada.checkpoints.nvidia.export_settings import Settings, fully_connected, mapping
from nada.checkpoints.nvidia.export_stylegan2 import stylegan2_settings
from nada.checkpoints.nvidia.export_stylegan3 import stylegan3_settings
from nada.checkpoints.pickles.persistent import Call, buffer, dump, ordered_dict, parameter, persistent
from nada.errors import CheckpointError
from nada.generators.mapping_network import FullyConnected, MappingNetwork
from nada.generators.registry import Architecture, Network
from nada.generators.stylegan2 import StyleGAN2Config
from nada.generators.stylegan3 import StyleGAN3Config

IMPORT_STYLEGAN2 = '''\
# Written by nada: the networks are those of the repository that reads this file.
import torch

try:
    from training.networks_stylegan2 import *
except ImportError:
    from training import networks
    from training.networks import *

    class Generator(networks.Generator):
        """Takes the arguments that the newer repository's takes."""

        def __init__(self, z_dim, c_dim, w_dim, img_resolution, img_channels, mapping_kwargs={}, **synthesis_kwargs):
            super().__init__(z_dim, c_dim, w_dim, img_resolution, img_channels, mapping_kwargs, synthesis_kwargs)
'''
IMPORT_STYLEGAN3 = """\
# Written by nada: the networks are those of the repository that reads this file.
import torch
from training.networks_stylegan3 import *
"""
NO_DISCRIMINATOR = '''

class NoDiscriminator(torch.nn.Module):
    """Stands where loaders expect a discriminator; nada keeps none."""

    def __init__(self, **arguments):
        super().__init__()

    def forward(self, *inputs, **arguments):
        raise RuntimeError("this file was written by nada and holds no discriminator")
'''
HOOKS = ("_backward_hooks", "_forward_hooks", "_forward_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks")


def save_nvidia(path: Path, generator: Network) -> None:
    """Write a dict of `G`, `D`, `G_ema`, `training_set_kwargs` and `augment_pipe`.

    `G` is `G_ema`, `D` a placeholder. Everything computes in float32.

    Raises:
        CheckpointError: of a family that their repositories do not have.
        OutputError: the file cannot be written.
    """
    if not isinstance(generator.config, StyleGAN2Config | StyleGAN3Config):
        raise CheckpointError(f"{path}: NVIDIA's format holds StyleGAN2 and StyleGAN3 alone; write .safetensors")
    network = _network("", generator, generator.config)
    content = {
        "G": network,
        "D": _module(module_source(generator.config), Settings(class_name="NoDiscriminator"), {}, {}, {}),
        "G_ema": network,
        "training_set_kwargs": None,
        "augment_pipe": None,
    }
    with replacing(path) as partial, partial.open("wb") as file:
        dump(content, file)


def module_source(config: Architecture) -> str:
    """The source text that the file's loader executes to get at the classes."""
    imports = IMPORT_STYLEGAN2 if isinstance(config, StyleGAN2Config) else IMPORT_STYLEGAN3
    return imports + NO_DISCRIMINATOR


def _network(name: str, module: nn.Module, config: Architecture) -> Call:
    """A module and all below it; ours bear the names of theirs."""
    return _module(
        module_source(config),
        _settings(name, module, config),
        {key: parameter(tensor) for key, tensor in module.named_parameters(recurse=False)},
        {key: buffer(tensor) for key, tensor in module.named_buffers(recurse=False)},
        {key: _network(f"{name}.{key}", child, config) for key, child in module.named_children()},
    )


def _settings(name: str, module: nn.Module, config: Architecture) -> Settings:
    match module:
        case FullyConnected():
            return fully_connected(name, module)
        case MappingNetwork():
            return mapping(config, module.num_ws)
    if isinstance(config, StyleGAN2Config):
        return stylegan2_settings(module, config)
    assert isinstance(config, StyleGAN3Config)
    return stylegan3_settings(name, module, config)


def _module(
    source: str, settings: Settings, parameters: dict[str, Call], buffers: dict[str, Call], children: dict[str, Call]
) -> Call:
    """One of their modules: what every torch.nn.Module has (newer versions add further fields), and its own."""
    state: dict[str, Any] = {
        "training": False,
        "_parameters": ordered_dict(parameters),
        "_buffers": ordered_dict({**buffers, **dict.fromkeys(settings.empty_buffers)}),
        "_modules": ordered_dict(children),
        "_non_persistent_buffers_set": set(),
        "_is_full_backward_hook": None,
        **{name: ordered_dict({}) for name in HOOKS},
    }
    return persistent(source, settings.class_name, {**state, **settings.attributes()})
