"""How much Python does, whatever the machine and its load."""

from __future__ import annotations

import sys
from collections.abc import Callable


def count_calls(run: Callable[[], object]) -> int:
    """Calls of functions, and steps of generators, while it runs."""
    count = 0

    def seen(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(seen)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count
