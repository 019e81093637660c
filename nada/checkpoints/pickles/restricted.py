"""Reads the pickles that checkpoints come in, executing nothing that is in them.

A pickle is a program; its dangerous instructions fetch a function by name and call it. Here fetching yields
only the stand-ins of one short list, calling works on nothing else, and what comes out is inert: dicts, lists,
numbers, tensors and `InertModule`s. Python source inside a checkpoint is never looked at.
"""

from __future__ import annotations

import mmap
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from nada.checkpoints.pickles.allowlist import (
    ADMITTED,
    WAY_OUT,
    Closed,
    InertDtype,
    RefusedError,
    StandIn,
    fill,
    fill_set,
    new_set,
)
from nada.errors import CheckpointError, shown

WORK_PER_BYTE = 4  # bytes travel through up to three calls; a short file that asks for long work is an attack
WORK_PER_ITEM = 4  # an item is in one call
TEXTS, CONTAINERS = (str, bytes, bytearray), (list, tuple, dict, set, frozenset)
MAX_INT_BITS = 128  # the magic number of torch has 77
LONG_INDEX_BYTES = 4


def load_pickle(path: Path, further: Mapping[str, Callable[..., Any]]) -> Any:
    """The contents of a pickle as inert data.

    Args:
        path: the file.
        further: names that are admitted beside the common ones, and the harmless functions that answer to them.

    Raises:
        CheckpointError: it cannot be read, is truncated or damaged, or asks for a global outside the list.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return InertUnpickler(view, len(view), further).load()
    except RefusedError as err:
        raise CheckpointError(f"{path}: {err}") from err
    except (Exception, MemoryError) as err:  # a damaged pickle can fail in any way at all
        raise CheckpointError(f"{path}: truncated or damaged pickle ({type(err).__name__}); fetch it again") from err


REFUSED_OPCODES = (
    pickle.PERSID + pickle.INST + pickle.OBJ + pickle.EXT1 + pickle.EXT2 + pickle.EXT4
    + pickle.NEWOBJ_EX + pickle.NEXT_BUFFER + pickle.READONLY_BUFFER
)  # fmt: skip
"""Further ways to fetch and call; no checkpoint uses them."""


class Stream(Protocol):
    """Something to read a pickle from."""

    def read(self, size: int, /) -> bytes:
        """At most that many bytes."""

    def readline(self) -> bytes:
        """Up to the end of the line."""


def _no_storages(reference: Any) -> Any:
    raise RefusedError(f"the pickle refers to something outside it; {WAY_OUT}")


class InertUnpickler(pickle._Unpickler):
    """Python's own unpickler in pure Python, with every instruction that could call something replaced.

    The C one would do for the names, but keeps its own instructions for calls, attributes and hashing.
    """

    stack: list[Any]
    memo: dict[int, Any]
    read: Callable[[int], bytes]
    readline: Callable[[], bytes]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def __init__(
        self,
        file: Stream,
        size_bytes: int,
        further: Mapping[str, Callable[..., Any]] | None = None,
        find_storage: Callable[[Any], Any] = _no_storages,
    ) -> None:
        super().__init__(file)
        self.size_bytes = size_bytes
        self.work_left = WORK_PER_BYTE * size_bytes
        self.admitted = {**ADMITTED, **(further or {})}
        self.find_storage = find_storage

    def persistent_load(self, pid: Any) -> Any:
        """What a reference to something beside the pickle stands for."""
        return self.find_storage(pid)

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of an admitted name."""
        full_name = f"{module}.{name}"
        if full_name in self.admitted:
            return StandIn(full_name, self.admitted[full_name])
        raise RefusedError(f"the pickle asks for {shown(full_name)}, which is no part of a generator; {WAY_OUT}")

    def _reduce(self) -> None:
        args = self.stack.pop()
        function = self.stack[-1]
        if not isinstance(function, StandIn) or not isinstance(args, tuple):
            raise RefusedError(f"the pickle calls a {type(function).__name__}; {WAY_OUT}")
        self.work_left -= sum(len(arg) for arg in args if isinstance(arg, TEXTS))
        self.work_left -= WORK_PER_ITEM * sum(len(arg) for arg in args if isinstance(arg, CONTAINERS))
        if self.work_left < 0:
            raise RefusedError(f"the pickle repeats its content endlessly; {WAY_OUT}")
        self.stack[-1] = function.call(*args)

    def _build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, InertDtype | Closed):
            target.state = state
        elif not isinstance(target, dict):  # attributes of a dict are bookkeeping: leave them
            raise RefusedError(f"the pickle sets attributes of a {type(target).__name__}; {WAY_OUT}")

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        fill(self.stack[-1], [key, value])

    def _setitems(self) -> None:
        items = self.pop_mark()
        fill(self.stack[-1], items)

    def _new_dict(self) -> None:
        self.append(fill({}, self.pop_mark()))

    def _additems(self) -> None:
        items = self.pop_mark()
        fill_set(self.stack[-1], items)

    def _frozenset(self) -> None:
        self.append(frozenset(new_set(self.pop_mark())))

    def _append(self) -> None:
        self._extend([self.stack.pop()])

    def _appends(self) -> None:
        self._extend(self.pop_mark())

    def _extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise RefusedError(f"items for a {type(self.stack[-1]).__name__}; {WAY_OUT}")
        self.stack[-1].extend(items)

    def _memoize(self, index: int) -> None:
        """Python's pickler counts its entries; those of any index could be chosen to collide."""
        if not 0 <= index <= self.size_bytes:
            raise RefusedError(f"an entry of the memo that no pickle of this size has; {WAY_OUT}")
        self.memo[index] = self.stack[-1]

    def _put(self) -> None:
        self._memoize(int(self.readline()[:-1]))

    def _long_binput(self) -> None:
        self._memoize(int.from_bytes(self.read(LONG_INDEX_BYTES), "little"))

    def _refuse(self) -> None:
        raise RefusedError(f"the pickle uses an instruction that no checkpoint needs; {WAY_OUT}")


def _bounded(load_int: Callable[[Any], None]) -> Callable[[Any], None]:
    """An instruction that pushes a whole number, but no giant, on which all arithmetic is slow."""

    def load(self: InertUnpickler) -> None:
        load_int(self)
        value = self.stack[-1]
        if isinstance(value, int) and value.bit_length() > MAX_INT_BITS:
            raise RefusedError(f"a number of {value.bit_length()} bits; {WAY_OUT}")

    return load


_INTEGERS = (pickle.INT, pickle.LONG, pickle.LONG1, pickle.LONG4)
_INSTRUCTIONS: dict[int, Callable[[Any], None]] = {
    pickle.REDUCE[0]: InertUnpickler._reduce,
    pickle.NEWOBJ[0]: InertUnpickler._reduce,
    pickle.BUILD[0]: InertUnpickler._build,
    pickle.SETITEM[0]: InertUnpickler._setitem,
    pickle.SETITEMS[0]: InertUnpickler._setitems,
    pickle.DICT[0]: InertUnpickler._new_dict,
    pickle.ADDITEMS[0]: InertUnpickler._additems,
    pickle.FROZENSET[0]: InertUnpickler._frozenset,
    pickle.BYTEARRAY8[0]: pickle._Unpickler.dispatch[pickle.BINBYTES8[0]],  # no more memory than the file has bytes
    pickle.PUT[0]: InertUnpickler._put,
    pickle.LONG_BINPUT[0]: InertUnpickler._long_binput,
    pickle.APPEND[0]: InertUnpickler._append,
    pickle.APPENDS[0]: InertUnpickler._appends,
}
_INSTRUCTIONS |= dict.fromkeys(REFUSED_OPCODES, InertUnpickler._refuse)
_INSTRUCTIONS |= {code[0]: _bounded(pickle._Unpickler.dispatch[code[0]]) for code in _INTEGERS}
InertUnpickler.dispatch = {**pickle._Unpickler.dispatch, **_INSTRUCTIONS}
