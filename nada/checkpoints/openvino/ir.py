"""OpenVINO's intermediate representation: an XML that lists layers and edges, and a file of their numbers.

A constant says its type and shape, and where in the numbers it lies. Read here: constants of float32, and which layer
feeds which. The XML is gone through once; one with a document type, and so any with entities of its own, is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

import torch
from torch import Tensor

from nada.checkpoints.pickles.allowlist import MAX_DIMENSIONS
from nada.errors import CheckpointError, shown

MAX_DEPTH = 16  # net > layers > layer > output > port > dim
MAX_LAYERS = MAX_EDGES = 20_000  # the 1024 px generator has a thousand of each
NUMBER = re.compile(r"[0-9]{1,15}")
FLOAT32_BYTES = 4


@dataclass(slots=True)
class Layer:
    """One operation, or a constant."""

    id: str
    name: str
    type: str
    attributes: dict[str, str] = field(default_factory=dict)


class Graph:
    """The layers of a network, in the order of its file."""

    def __init__(
        self, where: str, layers: Mapping[str, Layer], edges: Mapping[str, Mapping[int, str]], numbers: bytearray
    ) -> None:
        """Layers by id; by reader and its port, the layer that feeds it; and the file of numbers."""
        self.where = where
        self.layers = list(layers.values())
        self._numbers, self._given_bytes = numbers, 0
        self._inputs = {reader: [layers[ports[port]] for port in sorted(ports)] for reader, ports in edges.items()}
        self._readers: dict[str, list[Layer]] = {}
        for reader, inputs in self._inputs.items():
            for feeder in inputs:
                self._readers.setdefault(feeder.id, []).append(layers[reader])

    def of_type(self, type: str) -> Iterator[Layer]:
        """The layers of a type."""
        return (layer for layer in self.layers if layer.type == type)

    def inputs(self, layer: Layer) -> list[Layer]:
        """What feeds a layer, by port."""
        return self._inputs.get(layer.id, [])

    def reader(self, layer: Layer, type: str) -> Layer:
        """The one layer of a type that a layer feeds.

        Raises:
            CheckpointError: none or several.
        """
        return self._only(
            [reader for reader in self._readers.get(layer.id, []) if reader.type == type],
            f"{type} that reads what {shown(layer.name)} puts out",
        )

    def constant(self, layer: Layer) -> Layer:
        """The one constant among what feeds a layer.

        Raises:
            CheckpointError: none or several.
        """
        found = [feeder for feeder in self.inputs(layer) if feeder.type == "Const"]
        return self._only(found, f"constant that feeds {shown(layer.name)}")

    def other(self, layer: Layer, known: Layer) -> Layer:
        """What feeds a layer beside an input that is known.

        Raises:
            CheckpointError: none or several.
        """
        found = [feeder for feeder in self.inputs(layer) if feeder is not known]
        return self._only(found, f"layer that feeds {shown(layer.name)} beside {shown(known.name)}")

    def tensor(self, layer: Layer) -> Tensor:
        """The numbers of a constant, float32, without a copy; all that are given out are no more than the file holds.

        Raises:
            CheckpointError: of another type, or not within the file.
        """
        where, kind = f"{self.where}: {shown(layer.name)}", layer.attributes.get("element_type")
        if kind != "f32":
            raise CheckpointError(f"{where} has type {shown(kind)}; expected 'f32'")
        texts = [text.strip() for text in layer.attributes.get("shape", "").split(",")]
        numbers = [layer.attributes.get("offset", ""), layer.attributes.get("size", ""), *filter(None, texts)]
        for text in numbers:
            if not NUMBER.fullmatch(text):
                raise CheckpointError(f"{where}: {shown(text)} is no shape, offset or size")
        offset, size, *shape = map(int, numbers)
        count = math.prod(shape[: MAX_DIMENSIONS + 1])  # of a hundred thousand it would take its time
        if len(shape) > MAX_DIMENSIONS or not count or count * FLOAT32_BYTES != size:
            raise CheckpointError(f"{where} has {size} bytes for the shape {shown(shape)}")
        held = len(self._numbers)
        if offset + size > held or offset % FLOAT32_BYTES:
            raise CheckpointError(f"{where}: bytes {offset} to {offset + size} of {held}; fetch it again")
        self._given_bytes += size
        if self._given_bytes > held:
            raise CheckpointError(f"{where}: constants before it lie in the same bytes; fetch it again")
        return torch.frombuffer(self._numbers, dtype=torch.float32, count=count, offset=offset).reshape(shape)

    def _only(self, found: list[Layer], what: str) -> Layer:
        if len(found) != 1:
            raise CheckpointError(f"{self.where}: expected one {what}, found {len(found)}")
        return found[0]


def read_graph(where: str, xml: bytearray, numbers: bytearray) -> Graph:
    """Parse a network's XML.

    Args:
        where: the file, for messages.
        xml: its content, within a bound that the caller sets.
        numbers: the file of its constants, likewise.

    Raises:
        CheckpointError: not XML, with a document type, or edges between layers that are not there.
    """
    reader = _Reader(where)
    try:
        reader.parser.Parse(bytes(xml), True)
    except (expat.ExpatError, ValueError, LookupError) as err:
        raise CheckpointError(f"{where}: not whole XML ({err}); fetch it again") from err
    for target, ports in reader.edges.items():
        for source in ports.values():
            if not {source, target} <= reader.layers.keys():
                raise CheckpointError(f"{where}: an edge from {shown(source)} to {shown(target)}; no such layers")
    return Graph(where, reader.layers, reader.edges, numbers)


class _Reader:
    """What the parser calls on its way."""

    def __init__(self, where: str) -> None:
        self.layers: dict[str, Layer] = {}
        self.edges: dict[str, dict[int, str]] = {}
        self._where, self._tags, self._num_edges = where, list[str](), 0
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = lambda _: self._tags.pop()
        self.parser.StartDoctypeDeclHandler = lambda *_: self._refuse("its XML declares a document type")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._tags.append(tag)
        if len(self._tags) > MAX_DEPTH:
            self._refuse(f"its XML is nested deeper than {MAX_DEPTH}")
        match self._tags:
            case ["net", "layers", "layer"]:
                id, name, type = (attributes.get(key, "") for key in ("id", "name", "type"))
                layer = Layer(id, name, type)
                if layer.id in self.layers or len(self.layers) == MAX_LAYERS:
                    self._refuse(f"layer {shown(layer.id)} twice, or more than {MAX_LAYERS} layers")
                self.layers[layer.id] = layer
            case ["net", "layers", "layer", "data"]:
                next(reversed(self.layers.values())).attributes.update(attributes)
            case ["net", "edges", "edge"]:
                source, target, port = (attributes.get(key, "") for key in ("from-layer", "to-layer", "to-port"))
                ports = self.edges.setdefault(target, {})
                self._num_edges += 1
                if not NUMBER.fullmatch(port) or int(port) in ports or self._num_edges > MAX_EDGES:
                    self._refuse(f"two edges to port {shown(port)} of {shown(target)}, or more than {MAX_EDGES} edges")
                ports[int(port)] = source

    def _refuse(self, problem: str) -> None:
        raise CheckpointError(f"{self._where}: {problem}; OpenVINO writes no such file")
