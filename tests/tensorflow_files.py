"""Makes the pickles of NVIDIA's TensorFlow repositories, from any StyleGAN2's tensors.

Written from their layout, not from our reader's table: kernels [K, K, I, O], matrices [I, O], noise [1, 1, H, W].
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tests.checkpoint_files import nvidia_modules


class Network:
    """Answers to dnnlib.tflib.network.Network."""

    def __init__(self, variables: Mapping[str, Any], components: Mapping[str, Network] | None = None) -> None:
        self.state = {
            "version": 4,
            "name": "G",
            "static_kwargs": {"latent_size": 8, "fmap_base": 16384, "truncation_psi": 0.5},
            "components": dict(components or {}),
            "build_module_src": "raise AssertionError('the source inside a checkpoint was executed')",
            "build_func_name": "G_main",
            "variables": list(variables.items()),
        }

    def __getstate__(self) -> dict[str, Any]:
        return self.state

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise AssertionError("a checkpoint's network was built")


def tensorflow_network(state: Mapping[str, Tensor], **settings: Any) -> Network:
    """A generator with its two components; `settings` replace parts of what its pickle holds."""
    values = {name: tensor.numpy() for name, tensor in state.items()}
    mapping, synthesis = {}, {}
    for name in values:
        if name.startswith("mapping.fc"):
            layer, part = name.removeprefix("mapping.fc").split(".")
            mapping[f"Dense{layer}/{part}"] = values[name].T
    synthesis["4x4/Const/const"] = values["synthesis.b4.const"][np.newaxis]
    for layer in [name.removesuffix(".affine.weight") for name in values if name.endswith(".affine.weight")]:
        _, block, kind = layer.split(".")
        size = int(block[1:])
        theirs = {"torgb": "ToRGB", "conv0": "Conv0_up", "conv1": "Conv" if size == 4 else "Conv1"}[kind]
        kernel = values[f"{layer}.weight"].transpose(2, 3, 1, 0)
        synthesis[f"{size}x{size}/{theirs}/weight"] = kernel[::-1, ::-1] if kind == "conv0" else kernel
        synthesis[f"{size}x{size}/{theirs}/bias"] = values[f"{layer}.bias"]
        synthesis[f"{size}x{size}/{theirs}/mod_weight"] = values[f"{layer}.affine.weight"].T
        synthesis[f"{size}x{size}/{theirs}/mod_bias"] = values[f"{layer}.affine.bias"] - np.float32(1)
        if kind != "torgb":
            synthesis[f"{size}x{size}/{theirs}/noise_strength"] = np.float32(values[f"{layer}.noise_strength"])
            index = 0 if size == 4 else 2 * int(np.log2(size)) - (5 if kind == "conv0" else 4)
            synthesis[f"noise{index}"] = values[f"{layer}.noise_const"][np.newaxis, np.newaxis]
    top = {"lod": np.float32(0), "dlatent_avg": values["mapping.w_avg"]}
    components = {"mapping": Network(as_stored(mapping)), "synthesis": Network(as_stored(synthesis))}
    network = Network(as_stored(top), components)
    network.state |= settings
    return network


def as_stored(variables: Mapping[str, Any]) -> dict[str, Any]:
    """TensorFlow returns whole arrays in the usual order."""
    return {name: np.ascontiguousarray(v) if v.ndim else v for name, v in variables.items()}


def write_tensorflow(path: Path, generator: Network, protocol: int = 4) -> Path:
    """Pickle the tuple of a training snapshot."""
    with nvidia_modules({"dnnlib.tflib.network": [Network]}):
        path.write_bytes(pickle.dumps((Network({}), Network({}), generator), protocol=protocol))
    return path
