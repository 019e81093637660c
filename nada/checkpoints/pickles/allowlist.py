"""What the names in a checkpoint's pickle mean here: harmless stand-ins that build inert data.

Used by `nada.checkpoints.pickles.restricted`. Nothing in this file imports, looks up or calls by a name that
comes from a checkpoint.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

PLAIN_NUMBER = re.compile(r"[biuf][1248]")  # numpy's short names of bool, integer and float types
MAX_DIMENSIONS = 16
MAX_SIZE = 1 << 48  # of a dimension: no memory has it
PLAIN_KEYS = (str, int, float, bytes, type(None))  # hashing these is cheap; nested tuples can hang for ever
SMALL_KEYS = range(1 << 16)
MAX_SPREAD_KEYS = 1024
"""Keys of a dict beyond which one that is a number must be small: hashes of others can be chosen to collide, and then
cost the square of their count. An optimiser of torch before 1.5 has one for each of its few hundred tensors."""
WAY_OUT = "nothing was executed; use a checkpoint from a source you trust"


class RefusedError(UnpicklingError):
    """The pickle asks for something that a checkpoint does not need."""


@dataclass(frozen=True)
class InertModule:
    """A network module of the checkpoint as plain data: its class's name, and its attributes."""

    class_name: str
    state: dict[str, Any]


@dataclass(frozen=True)
class StandIn:
    """The harmless function that answers to an admitted name."""

    name: str
    call: Callable[..., Any]


@dataclass
class InertDtype:
    """A numpy type by its short name; its state holds the byte order."""

    code: str
    state: Any = None


@dataclass
class Closed:
    """An object that is kept closed: a numpy array, a command line; no network tensor is stored in one."""

    state: Any = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Storage:
    """The numbers that one or more tensors view, in a row."""

    flat: Tensor


def _tensor(storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    """A view of a storage that never reaches beyond it and never repeats its numbers."""
    numbers = (offset, *shape, *stride)
    if not isinstance(storage, Storage) or not all(type(n) is int and 0 <= n < MAX_SIZE for n in numbers):
        raise RefusedError("a tensor without a storage or with a broken shape; fetch the file again")
    if len(shape) > MAX_DIMENSIONS:
        raise RefusedError(f"a tensor of {len(shape)} dimensions; no network has one")
    flat, numel = storage.flat, math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if numel > len(flat) or (numel and last >= len(flat)):
        raise RefusedError(f"a tensor of shape {list(shape)} in a storage of {len(flat)} numbers; fetch the file again")
    return flat.as_strided(shape, stride, offset)


def _parameter(tensor: Tensor, *_: Any) -> Tensor:
    return tensor


def _module(meta: dict[str, Any]) -> InertModule:
    """NVIDIA's persistent object: type, version, module_src, class_name, state; the source is dropped."""
    class_name, state = meta.get("class_name"), meta.get("state")
    if meta.get("type") != "class" or not isinstance(class_name, str) or not isinstance(state, dict):
        raise RefusedError("a persistent object that is no class with a state; fetch the file again")
    return InertModule(class_name, state)


def _dtype(code: str, *_: Any) -> InertDtype:
    if not isinstance(code, str):
        raise RefusedError(f"a numpy type named by a {type(code).__name__}; {WAY_OUT}")
    return InertDtype(code)


def _scalar(dtype: InertDtype, content: bytes) -> bool | int | float:
    """A numpy number as Python's."""
    if not isinstance(dtype, InertDtype) or not PLAIN_NUMBER.fullmatch(dtype.code):
        raise RefusedError(f"a numpy value that is no number; {WAY_OUT}")
    big_endian = isinstance(dtype.state, tuple) and len(dtype.state) > 1 and dtype.state[1] == ">"
    number: bool | int | float = np.frombuffer(content, (">" if big_endian else "<") + dtype.code).item()
    return number


def closed(*_: Any) -> Closed:
    """An object whose attributes are kept, and nothing done with them."""
    return Closed()


def _size(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(numbers)


def _never(*_: Any) -> Any:
    raise RefusedError(f"the pickle calls a type of torch's; {WAY_OUT}")


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as pickle protocol 2 writes them."""
    if encoding != "latin1":
        raise RefusedError(f"bytes in another encoding than latin1; {WAY_OUT}")
    return text.encode("latin1")


def _dict(pairs: list[Any] | None = None) -> dict[Any, Any]:
    return fill({}, _flattened(pairs or []))


def _ordered_dict(pairs: list[Any] | None = None) -> dict[Any, Any]:
    return fill(OrderedDict(), _flattened(pairs or []))


def _flattened(pairs: list[Any]) -> list[Any]:
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise RefusedError("a dict from something else than pairs; fetch the file again")
    return [part for pair in pairs for part in pair]


def new_set(items: list[Any] | None = None) -> set[Any]:
    """A set of plain items."""
    return fill_set(set(), items or [])


def fill_set(target: Any, items: list[Any]) -> set[Any]:
    """Put items into a set; anything but a set with plain items is refused."""
    if not isinstance(target, set):
        raise RefusedError(f"items for a {type(target).__name__}; {WAY_OUT}")
    for item in items:
        _check_key(item, len(target))
        target.add(item)
    return target


def fill(target: Any, items: list[Any]) -> dict[Any, Any]:
    """Put key, value, key, value... into a dict; anything but a dict with plain keys is refused."""
    if not isinstance(target, dict):
        raise RefusedError(f"items for a {type(target).__name__}; {WAY_OUT}")
    for key, value in zip(items[::2], items[1::2], strict=True):
        _check_key(key, len(target))
        target[key] = value
    return target


def _check_key(key: Any, num_keys: int) -> None:
    """Refuse keys whose hashing or comparing is not cheap."""
    if not isinstance(key, PLAIN_KEYS):
        raise RefusedError(f"a {type(key).__name__} as a key; {WAY_OUT}")
    if num_keys >= MAX_SPREAD_KEYS and isinstance(key, int | float) and key not in SMALL_KEYS:
        raise RefusedError(f"more than {MAX_SPREAD_KEYS} keys, and a number of any size among them; {WAY_OUT}")


STORAGE_DTYPES: dict[str, torch.dtype] = {
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.DoubleStorage": torch.float64,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
"""The types that torch names beside a storage; they are only ever named."""

ADMITTED: dict[str, Callable[..., Any]] = {
    "torch_utils.persistence._reconstruct_persistent_obj": _module,
    "dnnlib.util.EasyDict": _dict,
    "collections.OrderedDict": _ordered_dict,
    "builtins.set": new_set,
    "__builtin__.set": new_set,  # a module's names of non-persistent buffers, before pickle protocol 4
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_tensor": _tensor,
    "torch.Size": _size,
    "argparse.Namespace": closed,  # the command line of the training script
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.core.multiarray._reconstruct": closed,
    "numpy._core.multiarray._reconstruct": closed,
    "numpy.core.numeric._frombuffer": closed,
    "numpy._core.numeric._frombuffer": closed,  # in pickle protocol 5
    "numpy.dtype": _dtype,
    "numpy.ndarray": closed,
    "_codecs.encode": _encode,
    **dict.fromkeys(STORAGE_DTYPES, _never),
}
"""Every name that a checkpoint may ask for, and what it gets in its place."""
