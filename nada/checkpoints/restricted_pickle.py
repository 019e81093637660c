"""Reads the pickles that StyleGAN2 checkpoints come in, executing nothing that is in them.

A pickle is a program; its dangerous instructions fetch a function by name and call it. Here fetching yields
only the stand-ins of one short list, calling works on nothing else, and what comes out is inert: dicts, lists,
numbers, tensors and `InertModule`s. Python source inside a checkpoint is never looked at.
"""

from __future__ import annotations

import mmap
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nada.checkpoints.inert import (
    ADMITTED,
    SHOWN_CHARACTERS,
    WAY_OUT,
    InertArray,
    InertDtype,
    RefusedError,
    StandIn,
    fill,
    new_set,
)
from nada.errors import CheckpointError


def load_pickle(path: Path) -> Any:
    """The contents of a pickle as inert data.

    Raises:
        CheckpointError: it cannot be read, is truncated or damaged, or asks for a global outside the list.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return _Unpickler(view).load()
    except RefusedError as err:
        raise CheckpointError(f"{path}: {err}") from err
    except (Exception, MemoryError) as err:  # a damaged pickle can fail in any way at all
        raise CheckpointError(f"{path}: truncated or damaged pickle ({type(err).__name__}); fetch it again") from err


REFUSED_OPCODES = (
    pickle.PERSID + pickle.BINPERSID + pickle.INST + pickle.OBJ + pickle.EXT1 + pickle.EXT2 + pickle.EXT4
    + pickle.NEWOBJ_EX + pickle.NEXT_BUFFER + pickle.READONLY_BUFFER
)  # fmt: skip
"""Further ways to fetch and call; no checkpoint uses them."""


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler in pure Python, with every instruction that could call something replaced.

    The C one would do for the names, but keeps its own instructions for calls, attributes and hashing.
    """

    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of an admitted name."""
        full_name = f"{module}.{name}"
        if full_name in ADMITTED:
            return StandIn(full_name, ADMITTED[full_name])
        if module.startswith("dnnlib.tflib"):
            raise RefusedError("a TensorFlow checkpoint; convert it with the legacy.py of stylegan2-ada-pytorch first")
        raise RefusedError(
            f"the pickle asks for {full_name[:SHOWN_CHARACTERS]!r}, which is no part of a generator; {WAY_OUT}"
        )

    def _reduce(self) -> None:
        args = self.stack.pop()
        function = self.stack[-1]
        if not isinstance(function, StandIn) or not isinstance(args, tuple):
            raise RefusedError(f"the pickle calls a {type(function).__name__}; {WAY_OUT}")
        self.stack[-1] = function.call(*args)

    def _build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, InertDtype | InertArray):
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
        if not isinstance(self.stack[-1], set):
            raise RefusedError(f"items for a {type(self.stack[-1]).__name__}; {WAY_OUT}")
        self.stack[-1].update(new_set(items))

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

    def _refuse(self) -> None:
        raise RefusedError(f"the pickle uses an instruction that no checkpoint needs; {WAY_OUT}")


_INSTRUCTIONS: dict[int, Callable[[Any], None]] = {
    pickle.REDUCE[0]: _Unpickler._reduce,
    pickle.NEWOBJ[0]: _Unpickler._reduce,
    pickle.BUILD[0]: _Unpickler._build,
    pickle.SETITEM[0]: _Unpickler._setitem,
    pickle.SETITEMS[0]: _Unpickler._setitems,
    pickle.DICT[0]: _Unpickler._new_dict,
    pickle.ADDITEMS[0]: _Unpickler._additems,
    pickle.FROZENSET[0]: _Unpickler._frozenset,
    pickle.BYTEARRAY8[0]: pickle._Unpickler.dispatch[pickle.BINBYTES8[0]],  # no more memory than the file has bytes
    pickle.APPEND[0]: _Unpickler._append,
    pickle.APPENDS[0]: _Unpickler._appends,
}
_INSTRUCTIONS |= dict.fromkeys(REFUSED_OPCODES, _Unpickler._refuse)
_Unpickler.dispatch = {**pickle._Unpickler.dispatch, **_INSTRUCTIONS}
