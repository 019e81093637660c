"""Our StyleGAN2's modules as those of `training.networks` and `training.networks_stylegan2`.

The two repositories' classes differ in the attributes that they read; each module gets all of them.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nada.checkpoints.nvidia.export_settings import Settings, generator, image
from nada.generators.stylegan2 import (
    StyleGAN2,
    StyleGAN2Config,
    SynthesisBlock,
    SynthesisLayer,
    SynthesisNetwork,
    ToRGB,
)
from nada.generators.stylegan2_ops import LRELU_GAIN


def stylegan2_settings(module: nn.Module, config: StyleGAN2Config) -> Settings:
    """Their class for one of our modules, and its attributes.

    Args:
        module: a generator or a part of one, but for what both families have (`export_nvidia`).
        config: the generator's.
    """
    match module:
        case SynthesisNetwork():
            return _synthesis(module, config)
        case SynthesisBlock():
            return _block(module, config)
        case SynthesisLayer():
            return _layer(module, config)
        case ToRGB():
            widths, gain = _widths(module, config), module.style_gain
            return Settings(class_name="ToRGBLayer", arguments=widths, derived={"weight_gain": gain})
    assert isinstance(module, StyleGAN2)
    return generator(config, module.num_ws, _arguments(config))


def _arguments(config: StyleGAN2Config) -> dict[str, Any]:
    return {
        "channel_base": config.channel_base,
        "channel_max": config.channel_max,
        "num_fp16_res": 0,
        "conv_clamp": config.conv_clamp,
    }


def _synthesis(module: SynthesisNetwork, config: StyleGAN2Config) -> Settings:
    return Settings(
        class_name="SynthesisNetwork",
        arguments={"w_dim": config.w_dim, **image(config), **_arguments(config)},
        hidden=("channel_base", "channel_max", "conv_clamp"),
        derived={
            "num_ws": module.num_ws,
            "block_resolutions": module.resolutions,
            "img_resolution_log2": len(module.resolutions) + 1,
        },
    )


def _block(module: SynthesisBlock, config: StyleGAN2Config) -> Settings:
    resolution = module.conv1.resolution
    return Settings(
        class_name="SynthesisBlock",
        arguments={
            "in_channels": 0 if module.is_first else config.channels(resolution // 2),
            "out_channels": config.channels(resolution),
            "w_dim": config.w_dim,
            "resolution": resolution,
            "img_channels": 3,
            "is_last": resolution == config.resolution,
            "architecture": "skip",
            "conv_clamp": config.conv_clamp,
            "use_fp16": False,
        },
        hidden=("out_channels", "conv_clamp"),
        derived={
            "channels_last": False,
            "fused_modconv_default": True,
            "num_conv": 1 if module.is_first else 2,
            "num_torgb": 1,
        },
    )


def _layer(module: SynthesisLayer, config: StyleGAN2Config) -> Settings:
    shape = {"resolution": module.resolution, "up": 2 if module.up else 1}
    return Settings(
        class_name="SynthesisLayer",
        arguments={**_widths(module, config), **shape, "use_noise": True, "activation": "lrelu"},
        derived={"padding": module.weight.shape[-1] // 2, "act_gain": LRELU_GAIN},
    )


def _widths(module: SynthesisLayer | ToRGB, config: StyleGAN2Config) -> dict[str, Any]:
    fan_out, fan_in = module.weight.shape[:2]
    return {"in_channels": fan_in, "out_channels": fan_out, "w_dim": config.w_dim, "conv_clamp": config.conv_clamp}
