"""Writes pickles whose classes live in another program: names go in as they are, nothing is imported here.

The counterpart of `nada.checkpoints.pickles.restricted`. Same content, same bytes.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch
from torch import Tensor

PROTOCOL = 4  # Python 3.4 and newer read it
TORCH_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # of torch's format before 1.6, which plain pickles nest
TORCH_PROTOCOL = 1001
TORCH_SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
STORAGE_KEY = "0"


@dataclass(frozen=True, eq=False)
class Name:
    """A class or function, by its module and name."""

    module: str
    name: str


@dataclass(frozen=True, eq=False)
class Call:
    """What reading the pickle shall call, and with what."""

    function: Name
    args: tuple[Any, ...]


EASY_DICT = Name("dnnlib.util", "EasyDict")
ORDERED_DICT = Name("collections", "OrderedDict")
RECONSTRUCT = Name("torch_utils.persistence", "_reconstruct_persistent_obj")
REBUILD_TENSOR = Name("torch._utils", "_rebuild_tensor_v2")
REBUILD_PARAMETER = Name("torch._utils", "_rebuild_parameter")
LOAD_STORAGE = Name("torch.storage", "_load_from_bytes")


def dump(content: Any, file: BinaryIO) -> None:
    """Pickle plain containers of numbers, texts and `Call`s."""
    _Pickler(file, protocol=PROTOCOL).dump(content)


def easy_dict(content: Mapping[str, Any]) -> Call:
    """A dict whose keys can be read as attributes."""
    return Call(EASY_DICT, (list(content.items()),))


def ordered_dict(content: Mapping[str, Any]) -> Call:
    """An OrderedDict; torch keeps weak references to some of its tables, which plain dicts do not bear."""
    return Call(ORDERED_DICT, (list(content.items()),) if content else ())


def persistent(module_src: str, class_name: str, state: Mapping[str, Any]) -> Call:
    """An object that NVIDIA's persistence rebuilds: class `class_name` of the module `module_src`, with `state`."""
    meta = {"type": "class", "version": 6, "module_src": module_src, "class_name": class_name, "state": dict(state)}
    return Call(RECONSTRUCT, (meta,))


def parameter(tensor: Tensor) -> Call:
    """A parameter without gradient."""
    return Call(REBUILD_PARAMETER, (buffer(tensor), False, ordered_dict({})))


def buffer(tensor: Tensor) -> Call:
    """A float32 tensor, in the two nested calls of torch's own pickles."""
    tensor = tensor.detach().to("cpu", torch.float32).contiguous()
    storage = Call(LOAD_STORAGE, (_storage_file(tensor),))
    return Call(REBUILD_TENSOR, (storage, 0, tuple(tensor.shape), tensor.stride(), False, ordered_dict({})))


def _storage_file(tensor: Tensor) -> bytes:
    """The numbers as a torch file; torch's own writer would put the address of the memory into it."""
    file = io.BytesIO()
    for part in (TORCH_MAGIC_NUMBER, TORCH_PROTOCOL, TORCH_SYSTEM):
        pickle.dump(part, file, protocol=2)
    _StoragePickler(file, protocol=2).dump(_Storage(tensor.numel()))
    pickle.dump([STORAGE_KEY], file, protocol=2)
    file.write(tensor.numel().to_bytes(8, "little") + tensor.numpy().astype("<f4", copy=False).tobytes())
    return file.getvalue()


@dataclass(frozen=True)
class _Storage:
    numel: int


class _StoragePickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, _Storage):
            return ("storage", torch.FloatStorage, STORAGE_KEY, "cpu", obj.numel, None)
        return None


class _Pickler(pickle._Pickler):
    """Python's own pickler in pure Python: the C one checks that every name can be imported."""

    write: Callable[[bytes], Any]
    memoize: Callable[[Any], None]

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        # Equal texts become one object: else it would depend on their history whether a text is repeated.
        _save(self, sys.intern(obj) if type(obj) is str else obj, save_persistent_id)

    def _save_name(self, obj: Name) -> None:
        self.save(obj.module)
        self.save(obj.name)
        self.write(pickle.STACK_GLOBAL)
        self.memoize(obj)

    def _save_call(self, obj: Call) -> None:
        self.save(obj.function)
        self.save(obj.args)
        self.write(pickle.REDUCE)
        self.memoize(obj)


_save = pickle._Pickler.save  # type: ignore[attr-defined]  # the type stubs do not list it
_WRITERS: dict[type, Callable[..., None]] = {Name: _Pickler._save_name, Call: _Pickler._save_call}
_Pickler.dispatch = {**pickle._Pickler.dispatch, **_WRITERS}
