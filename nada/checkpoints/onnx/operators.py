"""What each operation of PyTorch is in ONNX: only those that drawing a picture takes, whatever the domain.

Batches: dimension 0 of whatever depends on z is N, so shapes leave it open, and what is expanded along it stays 1,
for ONNX broadcasts as PyTorch does.

Legend: N batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor

from nada.errors import CheckpointError

OPSET = 18
"""Of ONNX: since onnxruntime 1.14, of 2023."""


class Graph(Protocol):
    """What an operation adds its nodes to."""

    def name(self, value: Any) -> str:
        """Of a tensor that was recorded; of any other tensor or a number, of a constant that is added."""

    def weights(self, value: Tensor) -> str:
        """Of a constant that has no dimension N."""

    def ints(self, values: Sequence[int]) -> str:
        """The name of a constant of whole numbers."""

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node; the name of its output."""


Operator = Callable[..., "str | list[str]"]
"""The graph and the operation's own arguments -> the name of its result, or of each."""


def _binary(operator: str) -> Operator:
    def write(graph: Graph, left: Any, right: Any, alpha: float = 1) -> str:
        inputs = [graph.name(left), graph.name(right)]
        if alpha != 1:
            inputs[1] = graph.node("Mul", [inputs[1], graph.name(float(alpha))])
        return graph.node(operator, inputs)

    return write


def _unary(operator: str) -> Operator:
    return lambda graph, x, **_: graph.node(operator, [graph.name(x)])


def _same(graph: Graph, x: Tensor, *_: Any, **__: Any) -> str:
    """A copy, an alias, another order in memory."""
    return graph.name(x)


def _reduce(operator: str) -> Operator:
    def write(graph: Graph, x: Tensor, dims: Sequence[int], keepdim: bool = False, **_: Any) -> str:
        return graph.node(operator, [graph.name(x), graph.ints(dims)], keepdims=int(keepdim))

    return write


def _addmm(graph: Graph, bias: Tensor, x: Tensor, weight: Tensor) -> str:
    return graph.node("Gemm", [graph.name(x), graph.name(weight), graph.name(bias)])


def _rsqrt(graph: Graph, x: Tensor) -> str:
    return graph.node("Reciprocal", [graph.node("Sqrt", [graph.name(x)])])


def _pow(graph: Graph, x: Tensor, exponent: float) -> str:
    name = graph.name(x)
    return graph.node("Mul", [name, name]) if exponent == 2 else graph.node("Pow", [name, graph.name(float(exponent))])


def _norm(graph: Graph, x: Tensor, order: float = 2, dims: Sequence[int] = (), keepdim: bool = False) -> str:
    if order != 2:
        raise CheckpointError(f"a norm of order {order} cannot be written as ONNX")
    return graph.node("ReduceL2", [graph.name(x), graph.ints(dims)], keepdims=int(keepdim))


def _convolution(
    graph: Graph,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> str:
    inputs = [graph.name(x), graph.weights(weight), *([] if bias is None else [graph.weights(bias)])]
    shape = {"strides": [*stride], "pads": [*padding, *padding], "dilations": [*dilation], "group": groups}
    if transposed:
        return graph.node("ConvTranspose", inputs, **shape, output_padding=[*output_padding])
    return graph.node("Conv", inputs, **shape)


def _leaky_relu(graph: Graph, x: Tensor, slope: float = 0.01) -> str:
    return graph.node("LeakyRelu", [graph.name(x)], alpha=slope)


def _clamp(graph: Graph, x: Tensor, least: float | None = None, most: float | None = None) -> str:
    limits = ["" if limit is None else graph.name(float(limit)) for limit in (least, most)]
    return graph.node("Clip", [graph.name(x), *limits])


def _unsqueeze(graph: Graph, x: Tensor, dim: int) -> str:
    return graph.node("Unsqueeze", [graph.name(x), graph.ints([dim])])


def _select(graph: Graph, x: Tensor, dim: int, index: int) -> str:
    picked = graph.node("Gather", [graph.name(x), graph.ints([index])], axis=dim)
    return graph.node("Squeeze", [picked, graph.ints([dim])])


def _unbind(graph: Graph, x: Tensor, dim: int = 0) -> list[str]:
    return [_select(graph, x, dim, index) for index in range(x.shape[dim])]


def _slice(
    graph: Graph, x: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> str:
    bounds = [graph.ints([value]) for value in (start or 0, 2**31 - 1 if end is None else end, dim, step)]
    return graph.node("Slice", [graph.name(x), *bounds])


def _cat(graph: Graph, parts: Sequence[Tensor], dim: int = 0) -> str:
    return graph.node("Concat", [graph.name(part) for part in parts], axis=dim)


def _stack(graph: Graph, parts: Sequence[Tensor], dim: int = 0) -> str:
    return graph.node("Concat", [_unsqueeze(graph, part, dim) for part in parts], axis=dim)


def _view(graph: Graph, x: Tensor, shape: Sequence[int]) -> str:
    known = list(shape)
    if -1 in known:
        known[known.index(-1)] = -x.numel() // _product(known)
    return graph.node("Reshape", [graph.name(x), graph.ints([-1, *known[1:]])])


def _product(values: Sequence[int]) -> int:
    product = 1
    for value in values:
        product *= value
    return product


def _expand(graph: Graph, x: Tensor, shape: Sequence[int], implicit: bool = False) -> str:
    rest = [1 if size == -1 else size for size in shape[1:]]
    return graph.node("Expand", [graph.name(x), graph.ints([1, *rest])])


def _transpose(graph: Graph, x: Tensor, first: int = 0, second: int = 1) -> str:
    order = list(range(x.ndim))
    order[first], order[second] = order[second], order[first]
    return graph.node("Transpose", [graph.name(x)], perm=order)


def _permute(graph: Graph, x: Tensor, order: Sequence[int]) -> str:
    return graph.node("Transpose", [graph.name(x)], perm=[*order])


def _pixel_shuffle(graph: Graph, x: Tensor, factor: int) -> str:
    return graph.node("DepthToSpace", [graph.name(x)], blocksize=factor, mode="CRD")


def _full_like(value: float) -> Operator:
    """A constant of the shape of `x`, whose N is open."""
    return lambda graph, x, **_: graph.node(
        "Add", [graph.node("Mul", [graph.name(x), graph.name(0.0)]), graph.name(value)]
    )


def _rsub(graph: Graph, x: Tensor, other: float, alpha: float = 1) -> str:
    scaled = graph.name(x) if alpha == 1 else graph.node("Mul", [graph.name(x), graph.name(float(alpha))])
    return graph.node("Sub", [graph.name(other), scaled])


OPERATORS: dict[str, Operator] = {
    "add": _binary("Add"), "sub": _binary("Sub"), "mul": _binary("Mul"), "div": _binary("Div"), "rsub": _rsub,
    "neg": _unary("Neg"), "sin": _unary("Sin"), "cos": _unary("Cos"), "sqrt": _unary("Sqrt"),
    "pow": _pow, "rsqrt": _rsqrt, "leaky_relu": _leaky_relu, "clamp": _clamp,
    "mean": _reduce("ReduceMean"), "sum": _reduce("ReduceSum"), "linalg_vector_norm": _norm,
    "mm": _binary("MatMul"), "bmm": _binary("MatMul"), "addmm": _addmm, "convolution": _convolution,
    "unsqueeze": _unsqueeze, "select": _select, "unbind": _unbind, "slice": _slice, "cat": _cat, "stack": _stack,
    "view": _view, "_unsafe_view": _view, "expand": _expand, "t": _transpose, "transpose": _transpose,
    "permute": _permute, "pixel_shuffle": _pixel_shuffle, "zeros_like": _full_like(0.0), "ones_like": _full_like(1.0),
    "clone": _same, "detach": _same, "alias": _same, "_to_copy": _same, "contiguous": _same,
}  # fmt: skip
"""By the name of PyTorch's operation, without its overload; what works in place is written likewise."""
