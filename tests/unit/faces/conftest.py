"""The scripts of `examples/faces/build`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from tests.scripts import scripts_of


@pytest.fixture
def script() -> Iterator[Callable[[str], ModuleType]]:
    with scripts_of("examples/faces/build") as imported:
        yield imported
