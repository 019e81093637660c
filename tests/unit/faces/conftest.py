"""The scripts of `examples/faces/build`, imported as they import each other."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

BUILD = Path(__file__).parents[3] / "examples" / "faces" / "build"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    monkeypatch.syspath_prepend(BUILD)
    before = set(sys.modules)
    yield importlib.import_module
    for name in {path.stem for path in BUILD.glob("*.py")} & (set(sys.modules) - before):
        del sys.modules[name]
