"""The attributes of NVIDIA's network classes: how one module is described, and those that both families have.

A class's constructor takes arguments, keeps most of them as attributes, and works out further ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nada.checkpoints.pickles.persistent import easy_dict
from nada.generators.mapping_network import FullyConnected
from nada.generators.registry import Architecture

W_AVG_BETA = 0.998  # decay of the running mean of w, read when training goes on


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One of their modules but for its tensors."""

    class_name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    """What its constructor takes."""
    hidden: tuple[str, ...] = ()
    """Arguments that it does not keep as attributes."""
    derived: dict[str, Any] = field(default_factory=dict)
    """Attributes that it works out, or keeps in another form."""
    empty_buffers: tuple[str, ...] = ()
    """Buffers that are None."""

    def attributes(self) -> dict[str, Any]:
        """What the module's `__dict__` holds."""
        kept = {name: value for name, value in self.arguments.items() if name not in self.hidden}
        return {**kept, **self.derived, "_init_args": (), "_init_kwargs": self.arguments}


def fully_connected(name: str, module: FullyConnected) -> Settings:
    """The layer of a mapping network, or an affine of a convolution."""
    fan_out, fan_in = module.weight.shape
    return Settings(
        class_name="FullyConnectedLayer",
        arguments={
            "in_features": fan_in,
            "out_features": fan_out,
            "activation": "lrelu" if name.startswith(".mapping.") else "linear",
            "lr_multiplier": module.bias_gain,
        },
        hidden=("lr_multiplier",),
        derived={"weight_gain": module.weight_gain, "bias_gain": module.bias_gain},
    )


def mapping(config: Architecture, num_ws: int) -> Settings:
    """The mapping network."""
    layers = {"num_ws": num_ws, "num_layers": config.mapping_layers, "w_avg_beta": W_AVG_BETA}
    return Settings(
        class_name="MappingNetwork",
        arguments={**_latents(config), **layers},
        derived={"embed": None},  # of a class label
    )


def image(config: Architecture) -> dict[str, Any]:
    """The arguments that describe the picture."""
    return {"img_resolution": config.resolution, "img_channels": 3}


def generator(config: Architecture, num_ws: int, synthesis: dict[str, Any]) -> Settings:
    """The generator itself, `synthesis` being arguments that it hands on."""
    layers = easy_dict({"num_layers": config.mapping_layers})
    return Settings(
        class_name="Generator",
        arguments={**_latents(config), **image(config), "mapping_kwargs": layers, **synthesis},
        hidden=("mapping_kwargs", *synthesis),
        derived={"num_ws": num_ws},
    )


def _latents(config: Architecture) -> dict[str, Any]:
    return {"z_dim": config.z_dim, "c_dim": 0, "w_dim": config.w_dim}
