"""What the nights of the fault tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.project import project

__all__ = ["project", "services"]


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One Prefect server and one MLflow database, for nights whose own are not what is tested.

    Making them anew takes a night of three tiny rows from 6 seconds to 20. Each project has an experiment of its own.
    """
    from mlflow import MlflowClient

    import flows  # noqa: F401 (settles Prefect's settings before its import)

    folder = tmp_path_factory.mktemp("services")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(folder))
        from flows.server import EmbeddedServer

        server = EmbeddedServer()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    MlflowClient(uri).search_experiments()
    server.ready()
    yield {"PREFECT_API_URL": server.url, "MLFLOW_TRACKING_URI": uri}
    server.stop()
