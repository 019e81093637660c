"""One Prefect server for all nights of the test session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import httpx
import pytest

from tests.project import project

__all__ = ["prefect_server", "project"]

STARTING_SECONDS = 180


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A real server with a database of its own; starting it takes 20 seconds."""
    from prefect.testing.utilities import prefect_test_harness

    import flows  # noqa: F401 (settles Prefect's settings before its import)

    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            # It is asked whether it is there until it is, but where one answer takes longer than httpx's own 5 seconds
            # Prefect gives up.
            patch.setattr(httpx, "Client", partial(httpx.Client, timeout=STARTING_SECONDS))
            stack.enter_context(prefect_test_harness(server_startup_timeout=STARTING_SECONDS))
        yield
