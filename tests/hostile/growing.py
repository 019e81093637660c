"""Files of any length that ask for more work than they have bytes: name -> a function from n to a file's bytes.

Each grows in proportion to n, and so may the cost of reading it.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from tests.checkpoint_files import Persistent, rosinality_state
from tests.conftest import TINY, tiny_generator
from tests.hostile.common import STAND_IN, changed, old_file, pickled, text, tiny_dict
from tests.hostile.headers import with_header
from tests.hostile.tensorflow import stored
from tests.hostile.torch_files import StreamReader, saved
from tests.tensorflow_files import tensorflow_network

Maker = Callable[[int], bytes]
SAME_HASH = (1 << 61) - 1  # whole numbers that differ by it have one hash
PLACE = "put the attack here"


def twins(count: int) -> Any:
    """A tuple of twice the same tuple of twice the same, and so on: its text has 2 ** count parts."""
    value: Any = ()
    for _ in range(count):
        value = (value, value)
    return value


def many(count: int) -> dict[str, int]:
    return {f"n{i}": 1 for i in range(count)}


def modules(count: int, **shared: Any) -> dict[str, Any]:
    """A sound network with many more modules, which all have the same tables."""
    content = changed()
    inner = content["G_ema"].state["_modules"]["synthesis"].state["_modules"]
    inner.update({f"m{i}": Persistent("Layer", **shared) for i in range(count)})
    return content


def number(value: int) -> bytes:
    content = value.to_bytes(16, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def fraction(value: float) -> bytes:
    return b"G" + struct.pack(">d", value)


def pickle_of(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


PICKLES: dict[str, Maker] = {
    "one table of modules in many": lambda n: pickled(modules(n, _modules=many(10 * n)), 4),
    "one table of arguments in many": lambda n: pickled(modules(n, _init_kwargs=many(10 * n)), 4),
    "one table of parameters in many": lambda n: pickled(modules(n, _parameters=many(10 * n)), 4),
    "tuples of twins beside": lambda n: pickled(tiny_dict(extra=twins(n)), 4),
    "networks beside": lambda n: pickled(tiny_dict(**{f"x{i}": Persistent("G") for i in range(n)}), 4),
    "keys of one hash": lambda n: pickle_of(b"}(", *(number(i * SAME_HASH) + b"N" for i in range(n)), b"u"),
    "keys of one hash, set singly": lambda n: pickle_of(b"}", *(number(i * SAME_HASH) + b"Ns" for i in range(n))),
    "keys that are fractions": lambda n: pickle_of(b"}(", *(fraction(i / 3) + b"N" for i in range(n)), b"u"),
    "keys that are texts": lambda n: pickle_of(b"}(", *(text(f"key {i}") + b"N" for i in range(n)), b"u"),
    "items of one hash": lambda n: pickle_of(b"\x8f(", *(number(i * SAME_HASH) for i in range(n)), b"\x90"),
    "places of the memo": lambda n: pickle_of(b"N", *(b"p%d\n" % (i * SAME_HASH) for i in range(n))),
    "calls with one long list": lambda n: pickle_of(
        b"](", b"K\x01K\x02\x86" * n, b"eq\x000", (STAND_IN + b"h\x00\x85R0") * n, b"N"
    ),
    "lists in lists": lambda n: pickle_of(b"]" * n, b"a" * (n - 1)),
}  # fmt: skip


def tensorflow(**settings: Any) -> bytes:
    return stored(tensorflow_network(tiny_generator().state_dict(), **settings))


def nested_version(n: int) -> bytes:
    return tensorflow(version=PLACE).replace(text(PLACE), b")" + b"\x85" * n)


class SharedArray:
    """An array of numpy whose bytes are the same object in every other."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __reduce__(self) -> Any:
        function, arguments, _ = np.zeros(1, np.float32).__reduce__()
        return function, arguments, (1, (len(self.content) // 4,), np.dtype("<f4"), False, self.content)


def arrays(n: int) -> list[tuple[str, SharedArray]]:
    content = bytes(40 * n)
    return [(f"v{i}", SharedArray(content)) for i in range(n)]


TENSORFLOW: dict[str, Maker] = {
    "a version of twins": lambda n: tensorflow(version=twins(n)),
    "a version of tuples in tuples": nested_version,
    "an argument of twins": lambda n: tensorflow(static_kwargs={"label_size": twins(n)}),
    "a kernel of twins": lambda n: tensorflow(static_kwargs={"resample_kernel": [twins(n)] * 4}),
    "many arguments": lambda n: tensorflow(static_kwargs=many(n)),
    "one array under many names": lambda n: tensorflow(
        variables=[(f"v{i}", array) for array in [np.zeros(10 * n, np.float32)] for i in range(n)]
    ),
    "the bytes of one array in many": lambda n: tensorflow(variables=arrays(n)),
}


def empty(n: int) -> dict[str, torch.Tensor]:
    return {f"t{i}": torch.zeros(0) for i in range(n)}


def one_tensor(n: int) -> dict[str, Any]:
    return {"g_ema": dict.fromkeys(many(n), torch.zeros(n))}


def one_table(n: int) -> dict[str, Any]:
    """A sound file in which one table stands under many names."""
    table = many(n)
    return {"g_ema": rosinality_state(tiny_generator()), **{f"t{i}": table for i in range(n)}}


TORCH_CONTENTS: dict[str, Callable[[int], Any]] = {
    "empty storages": lambda n: {"g_ema": empty(n)},
    "one tensor under many names": one_tensor,
    "one table under many names": one_table,
    "many layers of a mapping": lambda n: {"g_ema": {f"style.{i}.weight": torch.zeros(1, 1) for i in range(n)}},
    "tuples of twins": lambda n: {"x": twins(n)},
}


def one_key_many_times(n: int) -> bytes:
    """The list of keys at the end names one storage of a long name, again and again."""
    whole = old_file({"g_ema": rosinality_state(tiny_generator())})
    file = io.BytesIO(whole)
    for _ in range(4):
        StreamReader(file).load()
    begin = file.tell()
    StreamReader(file).load()
    return whole[:begin] + pickle.dumps(["k" * n] * n, 2) + whole[file.tell() :]


TORCH: dict[str, Maker] = {
    **{f"{name} (zip)": lambda n, make=make: saved(make(n)) for name, make in TORCH_CONTENTS.items()},
    **{f"{name} (older)": lambda n, make=make: old_file(make(n)) for name, make in TORCH_CONTENTS.items()},
    "one key many times (older)": one_key_many_times,
}


def said(content: str) -> bytes:
    """A header of safetensors whose metadata hold this."""
    return with_header({"__metadata__": {"nada": content}}, b"")


def last_twice(n: int) -> str:
    return "{" + "".join(f'"n{i}": "", ' for i in range(n)) + f'"n{n - 1}": ""}}'


def header_of(n: int) -> bytes:
    fields = {**TINY.model_dump(), **many(n)}
    return said(json.dumps({"format": 1, "config": fields}))


SAFETENSORS: dict[str, Maker] = {
    "many texts, the last one twice": lambda n: said(last_twice(n)),
    "many texts of the header, one twice": lambda n: with_header(f'{{"__metadata__": {last_twice(n)}}}'.encode(), b""),
    "brackets": lambda n: said("[" * n),
    "many fields": header_of,
    "many empty tensors": lambda n: save(empty(n), {"nada": json.dumps({"format": 1, "config": TINY.model_dump()})}),
}

KINDS = {".pkl": PICKLES, " of TensorFlow.pkl": TENSORFLOW, ".pt": TORCH, ".safetensors": SAFETENSORS}
GROWING = {f"{name}{suffix}": make for suffix, makers in KINDS.items() for name, make in makers.items()}
