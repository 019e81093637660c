"""Scripts of `benchmarks/` and `examples/*/build/`, imported as they import each other: by their bare names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT / "benchmarks", *sorted(ROOT.glob("examples/*/build")))
NAMES = {path.stem for folder in FOLDERS for path in folder.glob("*.py")}


@contextmanager
def scripts_of(folder: str) -> Iterator[Callable[[str], ModuleType]]:
    """Import by name from that folder, such as `examples/faces/build`, and forget everything afterwards.

    Both worlds have a `filters` and a `domains`: what another test left behind would be taken for this folder's.
    """

    def forget() -> None:
        for name in NAMES & set(sys.modules):
            del sys.modules[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / folder)  # which takes away what the scripts add, too
        forget()
        try:
            yield importlib.import_module
        finally:
            forget()
