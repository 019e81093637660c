"""Servers of Prefect and MLflow for the nights of the tests: one for all, or one that a test may kill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import flows  # noqa: F401 (settles Prefect's settings before its import)

STARTING_SECONDS = 600.0


@contextmanager
def shared_services(folder: Path) -> Iterator[dict[str, str]]:
    """One Prefect server and one MLflow database, for nights whose own are not what is tested; as their environment.

    Making them anew takes a night of three tiny rows from 6 seconds to 20. Each project has an experiment of its own.
    """
    from mlflow import MlflowClient

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(folder))
        from flows.server import EmbeddedServer

        server = EmbeddedServer()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    MlflowClient(uri).search_experiments()
    server.ready()
    yield {**{setting.name: value for setting, value in server.access.items()}, "MLFLOW_TRACKING_URI": uri}
    server.stop()


class Service:
    """A server in a process group of its own, that answers when it is made.

    Args:
        command: its process.
        health: answers to HTTP as soon as the server is there.
        environment: what a night must know to use it.
        settings: environment variables of its own.
        listening: a socket to hand down and let go of.
    """

    def __init__(
        self,
        command: list[str],
        health: str,
        environment: dict[str, str],
        settings: dict[str, str],
        listening: socket.socket | None = None,
    ) -> None:
        self.environment = environment
        handed = [] if listening is None else [listening.fileno()]
        path = os.pathsep.join(filter(None, sys.path))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", *command],
            env={**os.environ, "PYTHONPATH": path, **settings},
            pass_fds=handed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if listening is not None:
            listening.close()
        deadline = time.monotonic() + STARTING_SECONDS
        while not answers(health):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{' '.join(command)}: does not answer")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it and everything that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def prefect_service(home: Path) -> Service:
    """A Prefect server on the database of this folder."""
    from flows.server import EPHEMERAL

    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
    command = ["flows.server_process", str(listening.fileno()), str(os.getpid())]
    settings = {**EPHEMERAL, "PREFECT_HOME": str(home)}
    return Service(command, f"{url}/health", {"PREFECT_API_URL": url}, settings, listening)


def mlflow_service(uri: str) -> Service:
    """An MLflow server on a database."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    artifacts = Path(uri.removeprefix("sqlite:///")).with_name("artifacts")
    options = ["--backend-store-uri", uri, "--artifacts-destination", str(artifacts), "--workers", "1"]
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *options]
    lean = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # by default it starts a dozen processes more
    return Service(command, f"{url}/health", {"MLFLOW_TRACKING_URI": url}, lean)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False
