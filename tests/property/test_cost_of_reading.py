"""What a file costs to read is in proportion to its bytes, whatever is in it: counted, not timed.

Counted are the instructions of Python's that run, in the libraries, too, and the parts that its built-in functions
look at, which no instruction shows. A file of twice the length may cost twice as much.
"""

from __future__ import annotations

import builtins
import contextlib
import re
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from torch import nn

from nada.checkpoints import inspect
from nada.clip.weights import load_weights
from nada.errors import CheckpointError
from tests.hostile.growing import GROWING
from tests.operations import no_collection

SIZES = (50, 100, 200)
MOST_GROWTH = 2.4  # of what the second doubling costs over the first: 2 where it is proportional, 4 where quadratic
SLACK = 2000  # instructions that depend on something else, such as a cache that fills up
SLACK_BYTES = 100_000
LIMIT = 5_000_000  # instructions; what would take for ever ends here
SCANNING = {"count", "index", "remove", "copy", "extend", "update"}
"""Methods that look at every part of what they are called of or with."""


class TooMuchWorkError(BaseException):
    """The limit is reached."""


class Operations:
    """Instructions that ran, and parts that built-in functions looked at."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, more: int) -> None:
        self.count += more
        if self.count > LIMIT:
            raise TooMuchWorkError

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self.add(1)
        return self.trace

    def profile(self, frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and getattr(function, "__name__", "") in SCANNING:
            with contextlib.suppress(TypeError):
                self.add(len(function.__self__))

    def parts(self, value: Any) -> None:
        """Count what printing a value would look at."""
        self.add(1)
        if isinstance(value, str | bytes):
            self.add(len(value))
        elif isinstance(value, dict):
            for key, item in value.items():
                self.parts(key)
                self.parts(item)
        elif isinstance(value, list | tuple | set | frozenset):
            for item in value:
                self.parts(item)

    def counted(self, function: Callable[..., Any], is_deep: bool = False) -> Callable[..., Any]:
        """A built-in function that tells what it looks at."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if is_deep:
                self.parts(args[0])
            elif args and not isinstance(args[0], int | float):
                args = (list(args[0]), *args[1:])
                for part in args[0]:
                    self.add(len(part) if isinstance(part, str) else 1)
            return function(*args, **kwargs)

        return call


@contextlib.contextmanager
def operations() -> Iterator[Operations]:
    """Count what runs inside."""
    counting = Operations()
    with pytest.MonkeyPatch.context() as patch, no_collection():
        patch.setattr(builtins, "sorted", counting.counted(sorted))
        patch.setattr(builtins, "sum", counting.counted(sum))
        patch.setattr(builtins, "repr", counting.counted(repr, is_deep=True))
        sys.settrace(counting.trace)
        sys.setprofile(counting.profile)
        try:
            yield counting
            assert sys.gettrace() == counting.trace, "an error stopped the counting"
        finally:
            sys.settrace(None)
            sys.setprofile(None)


def cost(path: Path, read: Callable[[Path], object] = inspect) -> int:
    """Operations of reading a file, or of refusing it."""
    with operations() as counting, contextlib.suppress(CheckpointError):
        read(path)
    return counting.count


def peak_bytes(path: Path) -> int:
    """Memory of Python's objects while a file is read: the least of three times, since threads that earlier tests left
    are counted, too.
    """
    return min(peak_bytes_once(path) for _ in range(3))


def peak_bytes_once(path: Path) -> int:
    """The same of one reading, and of whatever else happens meanwhile."""
    tracemalloc.start()
    try:
        with contextlib.suppress(CheckpointError):
            inspect(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def load_clip_of(model: nn.Module) -> Callable[[Path], object]:
    """Reads a file as the weights of a CLIP."""
    return lambda path: load_weights(path, "tiny", model)


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Read everything once, uncounted: what is imported and cached by the first is no file's cost.

    Patterns of earlier tests are forgotten: where they fill the cache of `re`, any new one takes the place of another,
    and whichever file meets that next would pay for compiling it.
    """
    re.purge()
    folder, load_clip = tmp_path_factory.mktemp("warm"), load_clip_of(nn.Linear(2, 2))
    for name in GROWING:
        for read in (inspect, load_clip):
            with contextlib.suppress(CheckpointError):
                read(written(folder, name, 10))


def written(tmp_path: Path, name: str, n: int) -> Path:
    path = tmp_path / f"{n} {name}"
    path.write_bytes(GROWING[name](n))
    return path


@pytest.mark.parametrize("name", GROWING)
def test_twice_the_file_costs_twice_the_operations(tmp_path: Path, name: str):
    once, twice, fourfold = (cost(written(tmp_path, name, n)) for n in SIZES)
    assert fourfold - twice <= MOST_GROWTH * (twice - once) + SLACK


@pytest.mark.parametrize("name", [name for name in GROWING if name.endswith((".pt", ".safetensors"))])
def test_twice_the_file_of_a_clip_costs_twice_the_operations(tmp_path: Path, name: str):
    read = load_clip_of(nn.Linear(2, 2))
    once, twice, fourfold = (cost(written(tmp_path, name, n), read) for n in SIZES)
    assert fourfold - twice <= MOST_GROWTH * (twice - once) + SLACK


@pytest.mark.parametrize("name", GROWING)
def test_twice_the_file_takes_twice_the_memory(tmp_path: Path, name: str):
    once, twice, fourfold = (peak_bytes(written(tmp_path, name, n)) for n in SIZES)
    assert fourfold - twice <= MOST_GROWTH * (twice - once) + SLACK_BYTES
