"""A wheel with both of MobileStyleGAN's networks as OpenVINO writes them, from any small generator.

The layers that hold numbers or lead to them, under the names that the published wheel has; others are left out.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

import torch
from torch import Tensor

from nada.generators.mapping_network import MAPPING_LR_MULTIPLIER
from nada.generators.mobilestylegan.network import MobileStyleGAN
from nada.generators.mobilestylegan.ops import LRELU_SLOPE

FOLDER = "random_face/data"


class Written:
    """A network in the making: its XML and its numbers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.layers: list[str] = []
        self.edges: list[str] = []
        self.numbers = bytearray()

    def layer(self, name: str, type: str, inputs: Iterable[int] = (), **attributes: object) -> int:
        """A layer's id."""
        id = len(self.layers)
        shown = " ".join(f"{key}={quoteattr(str(value))}" for key, value in attributes.items())
        self.layers.append(f'<layer id="{id}" name={quoteattr(name)} type="{type}"><data {shown}/></layer>')
        for port, feeder in enumerate(inputs):
            self.edges.append(f'<edge from-layer="{feeder}" from-port="0" to-layer="{id}" to-port="{port}"/>')
        return id

    def const(self, name: str, tensor: Tensor) -> int:
        """A constant's id."""
        content = tensor.detach().contiguous().numpy().tobytes()
        shape = ", ".join(map(str, tensor.shape))
        offset, self.numbers = len(self.numbers), self.numbers + content
        return self.layer(name, "Const", element_type="f32", shape=shape, offset=offset, size=len(content))

    def activation(self, x: int) -> int:
        """A leaky ReLU's id."""
        slope = self.const(f"LeakyRelu_{len(self.layers)}/weights", torch.tensor([LRELU_SLOPE]))
        return self.layer(f"LeakyRelu_{len(self.layers)}", "PReLU", (x, slope))

    def xml(self) -> bytes:
        """The whole file."""
        layers, edges = "\n".join(self.layers), "\n".join(self.edges)
        return (
            f'<?xml version="1.0" ?>\n<net name="{self.name}" version="10">\n<layers>\n{layers}\n</layers>\n'
            f"<edges>\n{edges}\n</edges>\n</net>\n"
        ).encode()


def networks(generator: MobileStyleGAN) -> dict[str, bytes]:
    """The four files by name."""
    written = (_mapping(generator), _synthesis(generator))
    return {f"{one.name}.{end}": part for one in written for end, part in (("xml", one.xml()), ("bin", one.numbers))}


def as_wheel(files: dict[str, bytes], folder: str = FOLDER, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A wheel of files; its metadata says that it is `random-face` 1.0."""
    info = "random_face-1.0.dist-info"
    about = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: random-face\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(file := io.BytesIO(), "w", compression) as archive:
        for name, content in ({f"{folder}/{name}": content for name, content in files.items()} | about).items():
            archive.writestr(zipfile.ZipInfo(name), bytes(content), compression)
    return file.getvalue()


def _mapping(generator: MobileStyleGAN) -> Written:
    written = Written("MappingNetwork")
    x = written.layer("var", "Parameter", shape=f"1, {generator.z_dim}", element_type="f32")
    for i in range(generator.config.mapping_layers):
        layer = generator.mapping.get_submodule(f"fc{i}")
        weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
        matrix = written.const(f"{3 * i}", weight * (MAPPING_LR_MULTIPLIER / math.sqrt(weight.shape[1])))
        product = written.layer(f"MatMul_{i}", "MatMul", (x, matrix), transpose_a="false", transpose_b="true")
        added = written.const(f"{3 * i + 1}", bias * MAPPING_LR_MULTIPLIER)
        reshaped = written.layer(f"Reshape_{i}", "Reshape", (added,), special_zero="true")
        x = written.activation(written.layer(f"Add_{i}", "Add", (product, reshaped), auto_broadcast="numpy"))
    return written


def _synthesis(generator: MobileStyleGAN) -> Written:
    written, state = Written("SynthesisNetwork"), generator.synthesis.state_dict()
    x = written.const("m.input.input", state["b4.const"][None])
    x = _convolution(written, state, "b4.conv1", "m.conv1", x)
    sizes = generator.config.sizes[1:]
    for i, size in enumerate(sizes):
        _affine(written, state, f"b{size}.wavelets", f"m.layers.{i}.up")
        x = _convolution(written, state, f"b{size}.conv0", f"m.layers.{i}.conv1", x)
        x = _convolution(written, state, f"b{size}.conv1", f"m.layers.{i}.conv2", x)
    last = f"m.layers.{len(sizes) - 1}.to_img"
    _affine(written, state, "torgb", f"{last}.conv")
    written.const(f"{last}.conv.weight", state["torgb.weight"])
    written.const(f"{last}.bias", state["torgb.bias"].reshape(1, -1, 1, 1))
    return written


def _affine(written: Written, state: dict[str, Tensor], ours: str, theirs: str) -> int:
    weight = state[f"{ours}.affine.weight"]
    written.const(f"{theirs}.modulation.weight", weight / math.sqrt(weight.shape[1]))
    return written.const(f"{theirs}.modulation.bias", state[f"{ours}.affine.bias"][None])


def _convolution(written: Written, state: dict[str, Tensor], ours: str, theirs: str, x: int) -> int:
    style = _affine(written, state, ours, f"{theirs}.conv")
    x = written.layer(f"{theirs} input", "Multiply", (style, x))
    if f"{ours}.depthwise" in state:
        depthwise = written.const(f"{theirs}.conv.weight_dw", state[f"{ours}.depthwise"][:, None])
        x = written.layer(f"{theirs} depthwise", "GroupConvolution", (x, depthwise))
    weight = written.const(f"Mul_{len(written.layers)}_copy", state[f"{ours}.weight"])
    x = written.layer(f"{theirs} output", "Convolution", (x, weight))
    noise = written.const(f"{len(written.layers)}", state[f"{ours}.noise_const"][None, None])
    x = written.layer(f"{theirs} with noise", "Add", (x, noise))
    bias = written.const(f"{theirs}.bias", state[f"{ours}.bias"].reshape(1, -1, 1, 1))
    return written.activation(written.layer(f"{theirs} with bias", "Add", (x, bias)))
