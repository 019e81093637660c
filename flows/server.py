"""Prefect's embedded server: started while the models load, restarted if it dies, gone when this process is.

Left to itself Prefect starts a server that dies of the terminal's Ctrl-C before the flow could tell it anything,
outlives a flow that is killed, and is missed for minutes when it is killed itself. Ours is a process group of its
own with an eye on its parent, and we keep the listening socket: while a dead server is replaced, requests queue up
in the kernel and are answered by the next one, which finds everything in the same database.

Every page in a browser, and every user of this machine, reaches the loopback: a server answers only those who know its
secret, which a night's own server tells nobody.
"""

from __future__ import annotations

import atexit
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType
from typing import Any

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    get_current_settings,
    temporary_settings,
)

from flows.server_records import await_records, close_dead_runs
from nada.errors import NadaError, one_line
from tasks.status.prefect_errors import PREFECT_ERRORS
from tasks.tracking.address import without_secrets

RESTARTS = 5  # of one server in a night; more deaths than that have a cause that another start does not cure
PAUSE_SECONDS = 1.0  # before a restart
ENDING_SECONDS = 5.0  # a server told to end has this long
ASK_SECONDS = 10.0  # for an answer to one question about its health
REFUSING = (401, 403)
LAST_BYTES = 16_384  # of what a server printed, to find its last error in
ERROR_LINE = re.compile(r"^[\w.]+(?:Error|Exception)\b.*", re.MULTILINE)  # the end of a traceback
# What Prefect sets for a server of one process: no pages, and only the services that record what runs do.
EPHEMERAL = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
# Into a file of ours, where its last error is looked for if it does not start.
LOGGING = {"PREFECT_SERVER_LOGGING_LEVEL": "ERROR", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR"}
UNREACHABLE = "Failed to reach API"  # how the RuntimeError begins that Prefect raises where a flow begins without one


class ServerError(NadaError):
    """Prefect's server does not answer."""


class EmbeddedServer:
    """One server process at a time, on one socket, until this process ends."""

    def __init__(
        self, port: int = 0, settings: Mapping[str, str] = MappingProxyType(EPHEMERAL), secret: str | None = None
    ) -> None:
        """Start it.

        Args:
            port: 0 for any.
            settings: of the server, as environment variables; by default it has no pages and starts no nights.
            secret: `user:password` of whoever may ask; by default one that was never seen.

        Raises:
            OSError: the port is taken.
        """
        secret = secret or new_secret()
        self._socket = socket.create_server(("127.0.0.1", port))
        port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/api"
        self._environment = {
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port},http://localhost:{port}",
            **os.environ,
            **LOGGING,
            **settings,
            "PREFECT_SERVER_API_AUTH_STRING": secret,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        self.access: dict[Any, Any] = {PREFECT_API_URL: self.url, PREFECT_API_AUTH_STRING: secret}
        """Prefect's settings of whoever is to use it."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as this object)
        self.owed: tuple[str, str] | None = None
        """A night that came to its end, and its last task: what was told of it is to be written down before it ends."""
        self._replacing = threading.Lock()
        self._ending = threading.Event()
        self._given_up = threading.Event()
        self._process = self._start()
        threading.Thread(target=self._keep, daemon=True).start()
        atexit.register(self.stop)  # after Prefect has sent the last events, which it does earlier at exit

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.server_process", str(self._socket.fileno()), str(os.getpid())],
            env=self._environment,
            pass_fds=[self._socket.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C and a closing terminal are for us alone
        )

    def _keep(self) -> None:
        """Replace a server that died; let go of the socket when that does not help, so that nobody waits for it."""
        for _ in range(RESTARTS):
            self._process.wait()
            if self._ending.wait(PAUSE_SECONDS):
                return
            with self._replacing:
                if self._ending.is_set():
                    return
                self._process = self._start()
        self._process.wait()
        self._given_up.set()
        self._socket.close()

    def ready(self) -> None:
        """Wait until the server answers.

        Raises:
            ServerError: it does not, within Prefect's own limit.
        """
        limit = get_current_settings().server.ephemeral.startup_timeout_seconds
        deadline = time.monotonic() + limit
        while not self._given_up.is_set() and time.monotonic() < deadline:
            if answers(self.url):
                return
        reason = "its process ends at once" if self._given_up.is_set() else f"no answer within {limit} s"
        raise ServerError(
            f"Prefect's embedded server did not start ({reason}{self._last_words()}); start 'prefect server start' and "
            "set PREFECT_API_URL=http://127.0.0.1:4200/api"
        )

    def _last_words(self) -> str:
        """The last error that the server told of, if it told of any."""
        size = os.fstat(self._log.fileno()).st_size
        said = os.pread(self._log.fileno(), LAST_BYTES, max(0, size - LAST_BYTES)).decode(errors="replace")
        errors = ERROR_LINE.findall(said)
        return f": {one_line(without_secrets(errors[-1]))}" if errors else ""

    def stop(self) -> None:
        """End the process."""
        if self.owed is not None:
            await_records(self.access, *self.owed)
        with self._replacing:
            self._ending.set()  # from now on this process is the last
        self._process.terminate()
        try:
            self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._socket.close()
        self._log.close()


def new_secret() -> str:
    """`user:password` that nobody guesses."""
    return f"nada:{secrets.token_urlsafe()}"


@cache
def embedded_server() -> EmbeddedServer:
    """This process's server; started by the first call, shared by all flows."""
    return EmbeddedServer()


class PrefectServer:
    """The server of a night: that of the flow it runs in, the one that the settings name, or an embedded one.

    Made as early as can be, as an embedded server takes seconds to start.

    Raises:
        ServerError: the named one does not answer.
    """

    def __init__(self) -> None:
        settings = get_current_settings()
        self._embedded = None
        is_ours = FlowRunContext.get() is None  # a flow that runs already has its server
        if is_ours and settings.api.url and not answers():
            raise ServerError(
                f"{without_secrets(settings.api.url)}: Prefect does not answer; start it, or unset PREFECT_API_URL to "
                "embed one"
            )
        if is_ours and settings.api.url and not admits_us():
            raise ServerError(
                f"{without_secrets(settings.api.url)}: Prefect asks who we are; set PREFECT_API_AUTH_STRING to its "
                "secret, which nada serve keeps in .prefect/serve.secret"
            )
        if is_ours and not settings.api.url and settings.server.ephemeral.enabled:
            self._embedded = embedded_server()
        self._settings = {} if self._embedded is None else self._embedded.access

    def ready(self) -> None:
        """Wait until an embedded server answers.

        Raises:
            ServerError: it does not.
        """
        if self._embedded is not None:
            self._embedded.ready()
            with self.used():
                close_dead_runs()

    def owes(self, night: str, last_task: str) -> None:
        """An embedded server ends, with this process, only when it has written down this night to its last task."""
        if self._embedded is not None:
            self._embedded.owed = night, last_task

    @contextmanager
    def used(self) -> Iterator[None]:
        """Flows that start inside the block report to this server."""
        with temporary_settings(self._settings):
            yield


def answers(url: str | None = None) -> bool:
    """Whether a Prefect server is healthy: the one at this URL, or the one of the settings."""
    updates: dict[Any, Any] = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: ASK_SECONDS}
    updates |= {PREFECT_API_URL: url} if url else {}
    with temporary_settings(updates), get_client(sync_client=True) as client:
        return client.api_healthcheck() is None


def admits_us() -> bool:
    """Whether the server of the settings, which is healthy, takes what we say of ourselves."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
        try:
            client.api_version()
        except PrefectHTTPStatusError as err:
            return err.response.status_code not in REFUSING
        except PREFECT_ERRORS:  # it went a moment ago, and is missed where it is needed
            return True
    return True
