"""MobileStyleGAN as the Python package `random-face` carries it: two OpenVINO networks in a wheel.

Constants that were trained keep their names. Those that the export computed, such as weights times their demodulation,
have only numbers for names: they are found along the edges, from the bias that is added after them.
"""

from __future__ import annotations

import math
import re
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor

from nada.checkpoints.architecture import Reading, block_fields, build, mapping_fields
from nada.checkpoints.openvino.ir import Graph, Layer, read_graph
from nada.checkpoints.openvino.wheel import file_names, read_files
from nada.checkpoints.supplied import MEAN_MEASURED
from nada.errors import CheckpointError, shown
from nada.generators.mapping_network import MAPPING_LR_MULTIPLIER, MappingNetwork
from nada.generators.mobilestylegan.network import MobileStyleGAN
from nada.generators.mobilestylegan.ops import LRELU_SLOPE
from nada.generators.registry import parse_architecture

NETWORKS = ("MappingNetwork", "SynthesisNetwork")
MAX_BYTES = {"xml": 2 << 20, "bin": 64 << 20}  # those of the 1024 px generator have 0.4 and 32 MiB
FILES = {f"{network}.{end}": limit for network in NETWORKS for end, limit in MAX_BYTES.items()}
MAX_BLOCKS = 8  # to 2048 px
MAX_MAPPING_LAYERS = 64
MEAN_LATENTS = 10_000  # samples behind the mean w, which the file does not hold
MEAN_SEED = 0

Tensors = dict[str, Tensor]


def holds_openvino(path: Path) -> bool:
    """Whether a zip has both networks in it."""
    return file_names(path) >= FILES.keys()


def read_mobilestylegan(path: Path) -> Reading:
    """Read both networks; the mean w is measured on 10,000 fixed latents.

    Raises:
        CheckpointError: damaged, or not a MobileStyleGAN.
    """
    files = read_files(path, FILES)
    mapping, synthesis = (
        read_graph(f"{path}: {network}", files[f"{network}.xml"], files[f"{network}.bin"]) for network in NETWORKS
    )
    state = _mapping_tensors(mapping) | _synthesis_tensors(synthesis)
    generator = build_mobilestylegan(path, state)
    _check_slopes(mapping)
    _check_slopes(synthesis)
    generator.mapping.w_avg.copy_(mean_w(generator.mapping, generator.z_dim))
    return Reading(generator=generator, networks=("generator",), supplied=(MEAN_MEASURED,))


def build_mobilestylegan(path: Path, state: Tensors) -> MobileStyleGAN:
    """The generator of these tensors, in our names; without a mean w it is zero.

    Raises:
        CheckpointError: they are not those of a MobileStyleGAN.
    """
    blocks = block_fields(path, state)
    blocks["resolution"] *= 2  # the last features are the wavelets of the picture
    config = parse_architecture(path, {"family": "mobilestylegan", **mapping_fields(path, state), **blocks})
    generator = build(path, config, {"mapping.w_avg": torch.zeros(config.w_dim)} | state)
    assert isinstance(generator, MobileStyleGAN)
    return generator


@torch.no_grad()
def mean_w(mapping: MappingNetwork, z_dim: int) -> Tensor:
    """The mean of w over fixed latents, [W_DIM].

    In double precision, so that every processor rounds to the same numbers: they are part of a generator's bytes.
    """
    z = torch.randn(MEAN_LATENTS, z_dim, generator=torch.Generator().manual_seed(MEAN_SEED), dtype=torch.float64)
    return deepcopy(mapping).double().to_w(z).mean(dim=0).float()


def _check_slopes(graph: Graph) -> None:
    """The one number of the activations that is no weight: another would draw other pictures, and say nothing."""
    for activation in graph.of_type("PReLU"):
        slope = graph.tensor(graph.constant(activation))
        if not torch.allclose(slope, torch.tensor(LRELU_SLOPE)):
            problem = f"{shown(activation.name)} has the slope {slope.flatten()[0]:g}; only {LRELU_SLOPE} is supported"
            raise CheckpointError(f"{graph.where}: {problem}")


def _mapping_tensors(graph: Graph) -> Tensors:
    """Weights and biases in the order of the multiplications, in our names and scale."""
    products = list(graph.of_type("MatMul"))
    if not 0 < len(products) <= MAX_MAPPING_LAYERS:
        expected = f"expected a MobileStyleGAN of 1 to {MAX_MAPPING_LAYERS}"
        raise CheckpointError(f"{graph.where}: {len(products)} mapping layers; {expected}")
    state = {}
    for i, product in enumerate(products):
        weight = graph.tensor(graph.constant(product))
        if weight.ndim != 2 or product.attributes.get("transpose_b") != "true":
            raise CheckpointError(f"{graph.where}: {shown(product.name)} is no product with a transposed matrix")
        reshaped = graph.other(graph.reader(product, "Add"), product)
        bias = graph.tensor(graph.inputs(reshaped)[0]).flatten()
        state[f"mapping.fc{i}.weight"] = weight * (math.sqrt(weight.shape[1]) / MAPPING_LR_MULTIPLIER)
        state[f"mapping.fc{i}.bias"] = bias / MAPPING_LR_MULTIPLIER
    return state


def _synthesis_tensors(graph: Graph) -> Tensors:
    """Every tensor of the synthesis network in our names and scale."""
    parts = _Parts(graph)
    num_blocks = sum(1 for name in parts.named if re.fullmatch(r"m\.layers\.\d+\.conv1\.bias", name))
    if not 0 < num_blocks <= MAX_BLOCKS:
        raise CheckpointError(f"{graph.where}: {num_blocks} blocks; expected a MobileStyleGAN of 1 to {MAX_BLOCKS}")
    state = {"b4.const": parts.tensor("m.input.input", 3)} | _below("b4.conv1", parts.convolution("m.conv1"))
    for i in range(num_blocks):
        ours, theirs = f"b{8 << i}", f"m.layers.{i}"
        state |= _below(f"{ours}.wavelets", parts.affine(f"{theirs}.up"))
        state |= _below(f"{ours}.conv0", parts.separable(f"{theirs}.conv1"))
        state |= _below(f"{ours}.conv1", parts.separable(f"{theirs}.conv2"))
    state |= _below("torgb", parts.to_rgb(f"m.layers.{num_blocks - 1}.to_img"))
    return _below("synthesis", state)


class _Parts:
    """The parts of a synthesis network, by what the names of their constants begin with."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.named: dict[str, Layer] = {}
        for layer in graph.of_type("Const"):
            if self.named.setdefault(layer.name, layer) is not layer:
                raise CheckpointError(f"{graph.where}: constant {shown(layer.name)} twice; fetch it again")

    def tensor(self, name: str, num_dimensions: int) -> Tensor:
        """A constant by name, without leading dimensions of one.

        Raises:
            CheckpointError: it is not there.
        """
        if name not in self.named:
            raise CheckpointError(f"{self.graph.where}: no constant {name!r}; expected a MobileStyleGAN")
        return _squeezed(self.graph.tensor(self.named[name]), num_dimensions)

    def affine(self, theirs: str) -> Tensors:
        """What makes a style of w."""
        weight = self.tensor(f"{theirs}.modulation.weight", 2)
        bias = self.tensor(f"{theirs}.modulation.bias", 1)
        return {"affine.weight": weight * math.sqrt(weight.shape[-1]), "affine.bias": bias}

    def convolution(self, theirs: str) -> Tensors:
        """A convolution; what is added before its bias is its noise, and what that is added to its output."""
        state = {**self.affine(f"{theirs}.conv"), "bias": self.tensor(f"{theirs}.bias", 4).flatten()}
        bias = self.named[f"{theirs}.bias"]
        with_noise = self.graph.other(self.graph.reader(bias, "Add"), bias)
        noise = self.graph.constant(with_noise)
        output = self.graph.other(with_noise, noise)
        return {
            **state,
            "noise_const": _squeezed(self.graph.tensor(noise), 2),
            "weight": self.graph.tensor(self.graph.constant(output)),
        }

    def separable(self, theirs: str) -> Tensors:
        """A convolution with a filter a channel ahead of it."""
        depthwise = self.tensor(f"{theirs}.conv.weight_dw", 5)  # [I, 1, 1, 3, 3]
        return {"depthwise": depthwise.flatten(1, 2) if depthwise.ndim == 5 else depthwise, **self.convolution(theirs)}

    def to_rgb(self, theirs: str) -> Tensors:
        """The convolution to the wavelets of the picture."""
        bias = self.tensor(f"{theirs}.bias", 4).flatten()
        return {**self.affine(f"{theirs}.conv"), "weight": self.tensor(f"{theirs}.conv.weight", 4), "bias": bias}


def _below(module: str, tensors: Tensors) -> Tensors:
    return {f"{module}.{name}": tensor for name, tensor in tensors.items()}


def _squeezed(tensor: Tensor, num_dimensions: int) -> Tensor:
    """Without the leading dimensions of one that are too many; another shape is left for the check that follows."""
    while tensor.ndim > num_dimensions and tensor.shape[0] == 1:
        tensor = tensor[0]
    return tensor
