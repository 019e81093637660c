"""How much Python does, whatever the machine and its load."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Within it no garbage of earlier tests is collected: its finalisers would be counted."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def count_calls(run: Callable[[], object]) -> int:
    """Calls of functions, and steps of generators, while it runs."""
    count = 0

    def seen(*_: object) -> None:
        nonlocal count
        count += 1

    with no_collection():
        sys.setprofile(seen)
        try:
            run()
        finally:
            sys.setprofile(None)
    return count
