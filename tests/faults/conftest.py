"""What the nights of the fault tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.services import shared_services
from tests.project import project

__all__ = ["project", "services"]


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """See `shared_services`."""
    with shared_services(tmp_path_factory.mktemp("services")) as services:
        yield services
