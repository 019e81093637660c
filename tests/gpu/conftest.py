"""What a CPU cannot prove: run by `make test-gpu`, and skipped where the device is missing.

NADA_TEST_DEVICE names it; `NADA_TEST_DEVICE=cpu make test-gpu` runs the same tests without a card.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tasks.workers.local import DETERMINISTIC_CUBLAS

DEVICE = os.environ.get("NADA_TEST_DEVICE", "cuda:0")
HERE = Path(__file__).parent
# What torch warns of where it has no such kernel (`as_in_a_worker`), which elsewhere would be an error of the test's.
UNAVOIDABLE = "ignore:.* does not have a deterministic implementation:UserWarning"
IS_MISSING = DEVICE != "cpu" and not torch.cuda.is_available()

if not IS_MISSING:
    os.environ.update(DETERMINISTIC_CUBLAS)  # as workers have it; read when CUDA is first used


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are marked, and skipped for one reason."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            item.add_marker(pytest.mark.filterwarnings(UNAVOIDABLE))
            if IS_MISSING:
                item.add_marker(pytest.mark.skip(reason="no CUDA here; `make test-gpu` where there is"))


@pytest.fixture
def device() -> str:
    """What the tests run on."""
    return DEVICE


@pytest.fixture
def whole_float32() -> Iterator[None]:
    """No TF32, whose ten bits no tolerance of float32 allows for."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(autouse=True)
def as_in_a_worker() -> Iterator[None]:
    """Deterministic kernels where there are any."""
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
