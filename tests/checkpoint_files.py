"""Makes checkpoints in the formats found in the wild, from the recorded weights or from any tensors.

NVIDIA's classes do not exist here. While a pickle is written, stand-ins answer to their module names, so that
the file holds the same instructions as a real one.
"""

from __future__ import annotations

import json
import pickle
import sys
import types
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nada.checkpoints.rosinality import name_table
from nada.generators.registry import Network, make_network
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from nada.generators.stylegan2_ops import blur_kernel
from nada.generators.stylegan3 import StyleGAN3Config

GOLDEN = Path(__file__).parent / "parity" / "golden"


SIZE32 = {"z_dim": 32, "w_dim": 32, "resolution": 32, "channel_base": 1024, "channel_max": 32}
GOLDEN_CONFIGS: dict[str, StyleGAN2Config | StyleGAN3Config] = {
    "nv2_32px": StyleGAN2Config(**SIZE32, mapping_layers=2),
    "nv2_64px_clamp": StyleGAN2Config(
        z_dim=24, w_dim=40, resolution=64, channel_base=1024, channel_max=48, mapping_layers=8, conv_clamp=256
    ),
    "nv3t_32px": StyleGAN3Config(**SIZE32, num_layers=6),
    "nv3r_32px": StyleGAN3Config(**SIZE32, num_layers=6, conv_kernel=1, use_radial_filters=True),
}


def golden_network(name: str) -> Network:
    """The recorded world's generator."""
    generator = make_network(GOLDEN_CONFIGS[name])
    generator.load_state_dict(golden_state(name))
    return generator.requires_grad_(False)


def golden_state(name: str) -> dict[str, Tensor]:
    """The recorded world's weights: seeded by each key, scaled and shifted; what it fixed or drew, as it was."""
    arrays, state = golden_arrays(name), {}
    fixed = GOLDEN_CONFIGS[name].fixed_tensors() if name in GOLDEN_CONFIGS else {}
    for key, shape, how in json.loads((GOLDEN / f"{name}.keys.json").read_text()):
        if how == "kept":
            drawn = arrays.get(key.removeprefix("synthesis.input."))
            state[key] = fixed.get(key, blur_kernel() * 4) if drawn is None else drawn
            continue
        values = np.asarray(np.random.RandomState(zlib.crc32(key.encode())).randn(*shape), dtype=np.float32)
        state[key] = torch.from_numpy(np.asarray(values * np.float32(how[0]) + np.float32(how[1])))
    return state


def golden_arrays(name: str) -> dict[str, Tensor]:
    """The recorded outputs, float32."""
    return {key: torch.from_numpy(array).float() for key, array in np.load(GOLDEN / f"{name}.npz").items()}


class EasyDict(dict[str, Any]):
    """Answers to dnnlib.util.EasyDict."""


def _reconstruct_persistent_obj(meta: dict[str, Any]) -> Any:
    raise AssertionError("a checkpoint's constructor was called")


class Persistent:
    """A module as NVIDIA's persistence stores it: reduced to a call with its source, class name and state."""

    def __init__(self, class_name: str, **state: Any) -> None:
        self.class_name = class_name
        self.state: dict[str, Any] = {
            "training": False, "_parameters": OrderedDict(), "_buffers": OrderedDict(), "_modules": OrderedDict(),
            "_non_persistent_buffers_set": set(), "_backward_hooks": OrderedDict(), "_init_args": (),
            "_init_kwargs": EasyDict(), **state,
        }  # fmt: skip

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        source = "raise AssertionError('the source inside a checkpoint was executed')"
        meta = {"type": "class", "version": 6, "module_src": source, "class_name": self.class_name}
        return _reconstruct_persistent_obj, ({**meta, "state": self.state},)


@contextmanager
def nvidia_modules(more: Mapping[str, list[Any]] | None = None) -> Iterator[None]:
    """While inside, NVIDIA's module names, and `more`, can be pickled by reference."""
    homes = {"torch_utils.persistence": [_reconstruct_persistent_obj], "dnnlib.util": [EasyDict], **(more or {})}
    for home, members in homes.items():
        module = types.ModuleType(home)
        for member in members:
            member.__module__ = home
            setattr(module, member.__name__, member)
        sys.modules[home.split(".")[0]] = types.ModuleType(home.split(".")[0])
        sys.modules[home] = module
    try:
        yield
    finally:
        for home in homes:
            sys.modules.pop(home)
            sys.modules.pop(home.split(".")[0], None)


BUFFERS = {
    "w_avg", "noise_const", "resample_filter", "magnitude_ema", "up_filter", "down_filter", "transform", "freqs",
    "phases",
}  # fmt: skip


def nvidia_tree(
    state: Mapping[str, Tensor], conv_clamp: float | None = None, config: StyleGAN3Config | None = None
) -> Persistent:
    """A generator as a tree of modules, with numpy numbers and arrays among the attributes.

    StyleGAN2 as stylegan2-ada-pytorch has it; with a `config`, StyleGAN3.
    """
    kwargs = EasyDict(z_dim=8, c_dim=0, synthesis_kwargs=EasyDict(conv_clamp=conv_clamp))
    root = Persistent("Generator", c_dim=0, img_channels=3, _init_kwargs=kwargs if config is None else EasyDict())
    for name, tensor in state.items():
        module, *path, leaf = root, *name.split(".")
        for part in path:
            if part not in module.state["_modules"]:
                made = _nvidia_module(part, conv_clamp) if config is None else _stylegan3_module(part, config)
                module.state["_modules"][part] = made
            module = module.state["_modules"][part]
        value = tensor if leaf in BUFFERS else nn.Parameter(tensor, requires_grad=False)
        module.state["_buffers" if leaf in BUFFERS else "_parameters"][leaf] = value
    return root


def _nvidia_module(name: str, conv_clamp: float | None) -> Persistent:
    if name.startswith(("conv", "torgb")):
        return Persistent("SynthesisLayer", conv_clamp=conv_clamp, activation="lrelu", act_gain=np.sqrt(2))
    if name.startswith("fc"):
        return Persistent("FullyConnectedLayer", activation="lrelu", bias_gain=0.01, weight_gain=0.01 / np.sqrt(8))
    if name == "mapping":
        return Persistent("MappingNetwork", c_dim=0, num_layers=2)
    return Persistent("SynthesisBlock", architecture="skip") if name.startswith("b") else Persistent(name)


def _stylegan3_module(name: str, config: StyleGAN3Config) -> Persistent:
    """A module of stylegan3's repository, with the attributes that tell what its tensors do not."""
    layers = {layer.name: layer for layer in config.layers()}
    if name in layers:
        layer = layers[name]
        return Persistent(
            "SynthesisLayer", is_torgb=False, is_critically_sampled=layer.is_critical, use_fp16=layer.index > 1,
            in_size=np.broadcast_to(np.asarray(config.size(layer.previous)), [2]),
            in_sampling_rate=config.sampling_rate(layer.previous), in_cutoff=np.float64(config.cutoff(layer.previous)),
            out_sampling_rate=config.sampling_rate(layer.index), conv_clamp=config.conv_clamp,
            up_factor=layer.up, down_factor=layer.down, padding=[9, 8, 9, 8],
        )  # fmt: skip
    if name == config.rgb_name:
        return Persistent("SynthesisLayer", is_torgb=True, conv_clamp=config.conv_clamp, up_factor=1, down_factor=1)
    if name == "input":
        rate, bandwidth = np.float64(config.sampling_rate(0)), np.float64(config.cutoff(0))
        return Persistent("SynthesisInput", size=np.array([36, 36]), sampling_rate=rate, bandwidth=bandwidth)
    if name == "synthesis":
        attributes = config.model_dump(include={"num_critical", "margin_size", "output_scale"})
        arguments = config.model_dump(exclude={"family", "mapping_layers", "conv_clamp"}, exclude_defaults=True)
        return Persistent("SynthesisNetwork", **attributes, num_fp16_res=4, _init_kwargs=EasyDict(arguments))
    return _nvidia_module(name, None)


def write_nvidia(path: Path, content: Any, protocol: int = 3) -> Path:
    """Pickle whatever NVIDIA's dict shall hold; protocol 3 is what Python 3.7 wrote."""
    with nvidia_modules():
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def as_nvidia_dict(generator: Persistent) -> dict[str, Any]:
    """What a snapshot of training holds."""
    others = {"G": None, "D": Persistent("Discriminator"), "augment_pipe": Persistent("AugmentPipe", p=np.float32(0.5))}
    return {**others, "training_set_kwargs": EasyDict(path="set.zip", max_size=np.int64(7)), "G_ema": generator}


def rosinality_state(generator: StyleGAN2) -> dict[str, Tensor]:
    """A generator's tensors under rosinality's names, `latent_avg` among them."""
    ours = generator.state_dict()
    table = name_table(generator.resolution, generator.config.mapping_layers)
    return {pair.theirs: pair.to_theirs(ours[pair.ours]) for pair in table}
