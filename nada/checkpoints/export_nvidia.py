"""NVIDIA's `.pkl` from our generator, as the loaders of stylegan2-ada-pytorch and stylegan3 expect it.

Their persistence stores each module's class as source text, which the loader executes, and its attributes. Our
source text imports their class from the repository that opens the file; the attributes are a superset of what the
classes of the two repositories read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from nada.atomic import replacing
from nada.checkpoints.persistent_pickle import Call, buffer, dump, easy_dict, ordered_dict, parameter, persistent
from nada.errors import CheckpointError
from nada.families import Network
from nada.mapping import FullyConnected, MappingNetwork
from nada.stylegan2 import StyleGAN2, StyleGAN2Config, SynthesisBlock, SynthesisLayer, SynthesisNetwork, ToRGB
from nada.stylegan2_ops import LRELU_GAIN

MODULE_SRC = '''\
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


class NoDiscriminator(torch.nn.Module):
    """Stands where loaders expect a discriminator; nada keeps none."""

    def __init__(self, **arguments):
        super().__init__()

    def forward(self, *inputs, **arguments):
        raise RuntimeError("this file was written by nada and holds no discriminator")
'''
W_AVG_BETA = 0.998  # decay of the running mean of w, read when training goes on
HOOKS = ("_backward_hooks", "_forward_hooks", "_forward_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One of their modules but for its tensors."""

    class_name: str
    arguments: dict[str, Any]
    """What its constructor takes; most are attributes, too."""
    derived: dict[str, Any] = field(default_factory=dict)
    """The attributes that the constructor works out."""
    hidden: tuple[str, ...] = ()
    """Arguments that are no attributes."""

    def attributes(self) -> dict[str, Any]:
        """What the module's `__dict__` holds."""
        kept = {name: value for name, value in self.arguments.items() if name not in self.hidden}
        return {**kept, **self.derived, "_init_args": (), "_init_kwargs": self.arguments}


def save_nvidia(path: Path, generator: Network) -> None:
    """Write a dict of `G`, `D`, `G_ema`, `training_set_kwargs` and `augment_pipe`.

    `G` is `G_ema`, `D` a placeholder. Everything computes in float32.

    Raises:
        CheckpointError: not a StyleGAN2.
        OutputError: the file cannot be written.
    """
    if not isinstance(generator, StyleGAN2):
        raise CheckpointError(f"{path}: NVIDIA's format is written of StyleGAN2 alone; write .safetensors")
    network = _network("", generator, generator.config)
    nothing = {**_module_state({}, {}, {}), **Settings(class_name="NoDiscriminator", arguments={}).attributes()}
    no_discriminator = persistent(MODULE_SRC, "NoDiscriminator", nothing)
    content = {
        "G": network,
        "D": no_discriminator,
        "G_ema": network,
        "training_set_kwargs": None,
        "augment_pipe": None,
    }
    with replacing(path) as partial, partial.open("wb") as file:
        dump(content, file)


def _network(name: str, module: nn.Module, config: StyleGAN2Config) -> Call:
    """A module and all below it; ours bear the names of theirs."""
    settings = _settings(name, module, config)
    children = {key: _network(f"{name}.{key}", child, config) for key, child in module.named_children()}
    parameters = {key: parameter(tensor) for key, tensor in module.named_parameters(recurse=False)}
    buffers = {key: buffer(tensor) for key, tensor in module.named_buffers(recurse=False)}
    state = {**_module_state(parameters, buffers, children), **settings.attributes()}
    return persistent(MODULE_SRC, settings.class_name, state)


def _module_state(parameters: dict[str, Call], buffers: dict[str, Call], children: dict[str, Call]) -> dict[str, Any]:
    """What every torch.nn.Module has; newer versions add their further fields themselves."""
    return {
        "training": False,
        "_parameters": ordered_dict(parameters),
        "_buffers": ordered_dict(buffers),
        "_modules": ordered_dict(children),
        "_non_persistent_buffers_set": set(),
        "_is_full_backward_hook": None,
        **{name: ordered_dict({}) for name in HOOKS},
    }


def _settings(name: str, module: nn.Module, config: StyleGAN2Config) -> Settings:
    """Their class and its attributes for one of our modules, `name` being its dotted name after a leading dot."""
    match module:
        case FullyConnected():
            return _fully_connected(module, activation="lrelu" if name.startswith(".mapping.") else "linear")
        case SynthesisLayer() | ToRGB():
            return _layer(module, config)
        case SynthesisBlock():
            return _block(module, config)
        case MappingNetwork():
            layers = {"num_ws": module.num_ws, "num_layers": config.mapping_layers, "w_avg_beta": W_AVG_BETA}
            return Settings(class_name="MappingNetwork", arguments={**_latents(config), **layers})
        case SynthesisNetwork():
            resolutions = module.resolutions
            return Settings(
                class_name="SynthesisNetwork",
                arguments={"w_dim": config.w_dim, **_image(config), **_synthesis(config)},
                derived={
                    "img_resolution_log2": len(resolutions) + 1,
                    "block_resolutions": resolutions,
                    "num_ws": module.num_ws,
                },
                hidden=("channel_base", "channel_max", "conv_clamp"),
            )
    assert isinstance(module, StyleGAN2)
    mapping = easy_dict({"num_layers": config.mapping_layers})
    return Settings(
        class_name="Generator",
        arguments={**_latents(config), **_image(config), "mapping_kwargs": mapping, **_synthesis(config)},
        derived={"num_ws": module.num_ws},
        hidden=("mapping_kwargs", *_synthesis(config)),
    )


def _latents(config: StyleGAN2Config) -> dict[str, Any]:
    return {"z_dim": config.z_dim, "c_dim": 0, "w_dim": config.w_dim}


def _image(config: StyleGAN2Config) -> dict[str, Any]:
    return {"img_resolution": config.resolution, "img_channels": 3}


def _synthesis(config: StyleGAN2Config) -> dict[str, Any]:
    return {
        "channel_base": config.channel_base,
        "channel_max": config.channel_max,
        "num_fp16_res": 0,
        "conv_clamp": config.conv_clamp,
    }


def _block(module: SynthesisBlock, config: StyleGAN2Config) -> Settings:
    resolution = module.conv1.resolution
    fan_out = module.conv1.weight.shape[0]
    return Settings(
        class_name="SynthesisBlock",
        arguments={
            "in_channels": 0 if module.is_first else config.channels(resolution // 2),
            "out_channels": fan_out,
            "w_dim": config.w_dim,
            "resolution": resolution,
            "img_channels": 3,
            "is_last": resolution == config.resolution,
            "architecture": "skip",
            "conv_clamp": config.conv_clamp,
            "use_fp16": False,
        },
        derived={
            "channels_last": False,
            "fused_modconv_default": True,
            "num_conv": 1 if module.is_first else 2,
            "num_torgb": 1,
        },
        hidden=("out_channels", "conv_clamp"),
    )


def _layer(module: SynthesisLayer | ToRGB, config: StyleGAN2Config) -> Settings:
    fan_out, fan_in = module.weight.shape[:2]
    widths = {"in_channels": fan_in, "out_channels": fan_out, "w_dim": config.w_dim}
    if isinstance(module, ToRGB):
        return Settings(
            class_name="ToRGBLayer",
            arguments={**widths, "conv_clamp": config.conv_clamp},
            derived={"weight_gain": module.style_gain},
        )
    return Settings(
        class_name="SynthesisLayer",
        arguments={
            **widths,
            "resolution": module.resolution,
            "up": 2 if module.up else 1,
            "use_noise": True,
            "activation": "lrelu",
            "conv_clamp": config.conv_clamp,
        },
        derived={"padding": module.weight.shape[-1] // 2, "act_gain": LRELU_GAIN},
    )


def _fully_connected(module: FullyConnected, activation: str) -> Settings:
    fan_out, fan_in = module.weight.shape
    return Settings(
        class_name="FullyConnectedLayer",
        arguments={
            "in_features": fan_in,
            "out_features": fan_out,
            "activation": activation,
            "lr_multiplier": module.bias_gain,
        },
        derived={"weight_gain": module.bias_gain / math.sqrt(fan_in), "bias_gain": module.bias_gain},
        hidden=("lr_multiplier",),
    )
