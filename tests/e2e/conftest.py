"""One Prefect server for all nights of the test session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.project import project

__all__ = ["prefect_server", "project"]


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A real server with a database of its own; starting it takes 20 seconds."""
    from prefect.testing.utilities import prefect_test_harness

    import flows  # noqa: F401 (settles Prefect's settings before its import)

    with prefect_test_harness(server_startup_timeout=180):
        yield
