"""A network written as an ONNX graph by running it once and recording what depends on its inputs.

What depends on them becomes a node; all else, such as scaled weights and filters, is computed on the way and becomes a
constant. So one writer serves every family and every method, and no network is described twice.

Legend: N batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nada.checkpoints.onnx.operators import OPERATORS
from nada.errors import CheckpointError

TRACED_BATCH = 3
"""N while recording; what is expanded to it is told by its strides, not by this number."""


JOINS = ("add", "mul")


class Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records, while it is entered, every operation on its inputs; see `nada.checkpoints.onnx.operators.Graph`."""

    def __init__(self, inputs: Mapping[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._names = {id(tensor): name for name, tensor in inputs.items()}
        self._kept: list[Any] = list(inputs.values())  # or an id could be another tensor's

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, kind = kwargs or {}, func.overloadpacket.__name__
        depends = any(isinstance(leaf, Tensor) and id(leaf) in self._names for leaf in tree_leaves((args, kwargs)))
        if not depends and not (kind in JOINS and _grows(*args)):
            return func(*args, **kwargs)
        write = OPERATORS.get(kind) or OPERATORS.get(kind.removesuffix("_"))
        if write is None:
            raise CheckpointError(f"its pictures take the operation {kind!r}, which is not known as ONNX")
        written = write(self, *args, **{} if "memory_format" in kwargs else kwargs)
        result = func(*args, **kwargs)
        names = [written] if isinstance(written, str) else written
        for tensor, name in zip(tree_leaves(result), names, strict=True):
            self._names[id(tensor)] = name
            self._kept.append(tensor)
        return result

    def name(self, value: Any) -> str:
        """Of a recorded tensor, or of a constant."""
        if not isinstance(value, Tensor):
            return self._constant(np.array(value, np.float32))
        if id(value) in self._names:
            return self._names[id(value)]
        if value.ndim and value.shape[0] == TRACED_BATCH and value.stride(0) == 0:
            value = value[:1]  # of every picture the same, expanded to the batch
        return self.weights(value)

    def weights(self, value: Tensor) -> str:
        """Of a constant as it is."""
        return self._constant(value.detach().float().cpu().contiguous().numpy())

    def ints(self, values: Sequence[int]) -> str:
        """Of a constant of whole numbers."""
        return self._constant(np.array(values, np.int64))

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node."""
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def output(self, tensor: Tensor, name: str) -> None:
        """Give a recorded tensor a name of its own."""
        self.nodes.append(helper.make_node("Identity", [self.name(tensor)], [name]))

    def _constant(self, array: np.ndarray[Any, Any]) -> str:
        """Once, however often it is used."""
        digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()[:32]
        name = f"c{digest}"
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(array, name)
        return name


def _grows(left: Any, right: Any) -> bool:
    """Whether constants are far larger once they are joined, such as a bias [C, 1, 1] and a noise map [H, W]."""
    if not (isinstance(left, Tensor) and isinstance(right, Tensor)):
        return False
    joined: torch.Size = torch.broadcast_shapes(left.shape, right.shape)  # type: ignore[no-untyped-call]
    return joined.numel() > 2 * (left.numel() + right.numel())


@torch.no_grad()
def record(network: nn.Module, z_dim: int, resolution: int) -> onnx.GraphProto:
    """The graph of a network that draws img [N, 3, R, R] from z [N, Z] and truncation_psi, a number.

    Raises:
        CheckpointError: it takes an operation that is not known as ONNX.
    """
    z, psi = torch.linspace(-1, 1, TRACED_BATCH * z_dim).reshape(TRACED_BATCH, z_dim), torch.tensor(0.7)
    with Recording({"z": z, "truncation_psi": psi}) as recording:
        recording.output(network(z, psi), "img")
    shapes: dict[str, list[str | int | None]] = {
        "z": ["N", z_dim],
        "truncation_psi": [],
        "img": ["N", 3, resolution, resolution],
    }
    about = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    return helper.make_graph(
        recording.nodes,
        "nada",
        [about["z"], about["truncation_psi"]],
        [about["img"]],
        list(recording.constants.values()),
    )
