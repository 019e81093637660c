"""Our StyleGAN3's modules as those of `training.networks_stylegan3`."""

from __future__ import annotations

from typing import Any

from torch import nn

from nada.checkpoints.nvidia.export_settings import Settings, generator, image
from nada.generators.stylegan3 import StyleGAN3, SynthesisInput, SynthesisLayer, SynthesisNetwork, ToRGB
from nada.generators.stylegan3_geometry import ConvGeometry, StyleGAN3Config

MAGNITUDE_EMA_BETA = 0.999  # decay of the running mean of a layer's input magnitude, read when training goes on
LAYER_ARGUMENTS = ("conv_kernel", "filter_size", "lrelu_upsampling", "use_radial_filters", "conv_clamp")
NETWORK_ARGUMENTS = ("num_layers", "num_critical", "margin_size", "output_scale")
HIDDEN_ARGUMENTS = ("channel_base", "channel_max", "first_cutoff", "first_stopband", "last_stopband_rel")


def stylegan3_settings(name: str, module: nn.Module, config: StyleGAN3Config) -> Settings:
    """Their class for one of our modules, and its attributes.

    Args:
        name: its dotted name, after a leading dot.
        module: a generator or a part of one, but for what both families have (`export_nvidia`).
        config: the generator's.
    """
    match module:
        case SynthesisNetwork():
            return _synthesis(module, config)
        case SynthesisInput():
            return _input(module, config)
        case SynthesisLayer():
            return _layer(next(layer for layer in config.layers() if name.endswith(f".{layer.name}")))
        case ToRGB():
            return _to_rgb(config)
    assert isinstance(module, StyleGAN3)
    return generator(config, module.num_ws, _arguments(config))


def _arguments(config: StyleGAN3Config) -> dict[str, Any]:
    named = (*HIDDEN_ARGUMENTS, *NETWORK_ARGUMENTS, *LAYER_ARGUMENTS)
    return {**{name: getattr(config, name) for name in named}, "num_fp16_res": 0}


def _synthesis(module: SynthesisNetwork, config: StyleGAN3Config) -> Settings:
    return Settings(
        class_name="SynthesisNetwork",
        arguments={"w_dim": config.w_dim, **image(config), **_arguments(config)},
        hidden=(*HIDDEN_ARGUMENTS, *LAYER_ARGUMENTS),
        derived={"num_ws": module.num_ws, "layer_names": [*module.conv_names, module.rgb_name]},
    )


def _input(module: SynthesisInput, config: StyleGAN3Config) -> Settings:
    return Settings(
        class_name="SynthesisInput",
        arguments={
            "w_dim": config.w_dim,
            "channels": config.channels(0),
            "size": module.size,
            "sampling_rate": module.rate,
            "bandwidth": module.bandwidth,
        },
        derived={"size": _square(module.size)},
    )


def _layer(layer: ConvGeometry) -> Settings:
    config = layer.config
    up_taps, down_taps = config.filter_size * layer.up, config.filter_size * layer.down
    # Pixels to add before the first filter, so that the output has its size; split as their class does.
    needed = (config.size(layer.index) - 1) * layer.down + 1 + up_taps + down_taps - 2
    total = needed - (config.size(layer.previous) + config.conv_kernel - 1) * layer.up
    before = (total + layer.up) // 2
    return Settings(
        class_name="SynthesisLayer",
        arguments=_layer_arguments(config, layer.previous, layer.index, is_critical=layer.is_critical),
        hidden=("filter_size", "lrelu_upsampling", "use_radial_filters"),
        derived={
            **_sizes(config, layer.previous, layer.index),
            "tmp_sampling_rate": layer.lrelu_rate,
            "up_factor": layer.up,
            "up_taps": up_taps,
            "down_factor": layer.down,
            "down_taps": down_taps,
            "down_radial": config.use_radial_filters and not layer.is_critical,
            "padding": [before, total - before] * 2,
        },
    )


def _to_rgb(config: StyleGAN3Config) -> Settings:
    last = config.num_layers
    return Settings(
        class_name="SynthesisLayer",
        arguments=_layer_arguments(config, last - 1, last, is_critical=True) | {"is_torgb": True, "out_channels": 3},
        hidden=("filter_size", "lrelu_upsampling", "use_radial_filters"),
        derived={
            **_sizes(config, last - 1, last),
            "conv_kernel": 1,
            "tmp_sampling_rate": max(config.sampling_rate(last - 1), config.sampling_rate(last)),
            **dict.fromkeys(("up_factor", "up_taps", "down_factor", "down_taps"), 1),
            "down_radial": False,
            "padding": [0] * 4,
        },
        empty_buffers=("up_filter", "down_filter"),
    )


def _layer_arguments(config: StyleGAN3Config, previous: int, index: int, is_critical: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "w_dim": config.w_dim,
        "is_torgb": False,
        "is_critically_sampled": is_critical,
        "use_fp16": False,
        "magnitude_ema_beta": MAGNITUDE_EMA_BETA,
    }
    for side, layer in (("in", previous), ("out", index)):
        arguments |= {
            f"{side}_channels": config.channels(layer),
            f"{side}_size": config.size(layer),
            f"{side}_sampling_rate": config.sampling_rate(layer),
            f"{side}_cutoff": config.cutoff(layer),
            f"{side}_half_width": config.half_width(layer),
        }
    return arguments | {name: getattr(config, name) for name in LAYER_ARGUMENTS}


def _sizes(config: StyleGAN3Config, previous: int, index: int) -> dict[str, list[int]]:
    return {"in_size": _square(config.size(previous)), "out_size": _square(config.size(index))}


def _square(size: int) -> list[int]:
    return [size, size]
