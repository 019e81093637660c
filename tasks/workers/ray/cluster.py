"""The Ray that a night runs on: a cluster that is there, or one of our own for as long as we need it.

The only importer of ray, an extra (`pip install -e '.[ray]'`) that is looked at when a night asks for it.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from nada.errors import ParamsError

INSTALL = "pip install --constraint constraints.txt --editable '.[ray]'"
CONNECT_SECONDS = 5.0
INSTALLED = Path(__file__).resolve().parents[3]
# Ray reports nothing to anyone, is not started again behind our back by a call that comes too late, and prints no pages
# of its log when an actor dies: we say that ourselves.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_AUTO_CONNECT": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": "."}
# As on those systems, a Ray of our own listens on this machine alone.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def check_installed() -> None:
    """Look for the library, without importing it.

    Raises:
        ParamsError: the extra is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise ParamsError(f"night.runner: 'ray' needs Ray, which is not installed; {INSTALL}")


def ray() -> ModuleType:
    """The library; importing it takes a second."""
    os.environ.update(QUIET)
    import ray

    return ray


def connect(address: str) -> None:
    """Join a running cluster, once.

    Args:
        address: `auto`, or host:port.

    Raises:
        ParamsError: no cluster answers there, or it is of another version.
    """
    if ray().is_initialized():
        return
    way_out = "ray start --head begins one; without night.ray_address the night starts a Ray of its own"
    try:
        if address != "auto":
            host, port = address.rsplit(":", 1)
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()  # Ray would try for minutes
        _init(address=address)
    except (OSError, RuntimeError, ValueError, OverflowError, ray().exceptions.RayError) as err:
        raise ParamsError(f"night.ray_address: no cluster at {address!r} ({last_words(err)}); {way_out}") from err


def start(folder: str, num_workers: int) -> None:
    """Begin a Ray on this machine, for nobody else: on the loopback, with a token that only we know.

    Args:
        folder: for its sockets and logs; a short path, as those of sockets are limited.
        num_workers: how many may work at once on CPUs.

    Raises:
        ParamsError: it cannot be started.
    """
    os.environ.update({**LOOPBACK, "RAY_AUTH_MODE": "token"})
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # Ray reads it once in a process
    try:
        _init(address="local", num_cpus=num_workers, include_dashboard=False, _temp_dir=folder)
    except (OSError, RuntimeError, ValueError, ray().exceptions.RayError) as err:
        raise ParamsError(f"night.runner: a local Ray cannot be started ({last_words(err)})") from err


def resources(address: str) -> Mapping[str, float]:
    """What a cluster has in all: `CPU`, `GPU` and others. Raises as `connect` does."""
    connect(address)
    found: Mapping[str, float] = ray().cluster_resources()
    return found


def last_words(err: BaseException) -> str:
    r"""The one sentence of an error that says most: Ray's tell a story, and come to the point in the last line.

    >>> last_words(RuntimeError("The actor died.\n\tpid: 7\nIts process has died. Exit type: SYSTEM_ERROR"))
    'Its process has died'
    """
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    return lines[-1].split(". ")[0].rstrip(".") if lines else type(err).__name__


def _init(**options: Any) -> None:
    with _own_signals():
        ray().init(log_to_driver=False, logging_level="ERROR", job_config=_job_config(), **options)


def _job_config() -> Any:
    """Where Ray's processes look for code first: where nada is.

    Left to itself Ray puts the driver's working folder before everything, a project that may have `tasks/` of its own;
    as for a job of its client it does not.
    """
    from ray.job_config import JobConfig

    return JobConfig(_client_job=True, _py_driver_sys_path=[str(INSTALLED)])


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the handlers of whoever calls; Ray puts one of its own in the place of SIGTERM's."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
