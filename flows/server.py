"""Prefect's embedded server, started while the models load, and deaf to Ctrl-C.

Left to itself Prefect starts the server at the first flow, in the terminal's process group: Ctrl-C then kills the
server before the flow could tell it anything, and the client keeps asking a dead server for more than a minute.
"""

from __future__ import annotations

import signal
import threading

from nada.errors import NadaError


class ServerError(NadaError):
    """The embedded server did not start."""


class EmbeddedServer:
    """Starts in the background; `ready` waits for it. Does nothing where PREFECT_API_URL names a server.

    Prefect ends the server when this process exits; until then further flows share it.
    """

    def __init__(self) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._start, daemon=True)

        from prefect.settings import get_current_settings

        settings = get_current_settings()
        if not settings.api.url and settings.server.ephemeral.enabled:
            self._thread.start()

    def ready(self) -> None:
        """Wait until the server answers.

        Raises:
            ServerError: it does not.
        """
        if self._thread.ident is not None:
            self._thread.join()
        if self._error is not None:
            reason = str(self._error).strip().splitlines()[0]
            raise ServerError(
                f"Prefect's embedded server did not start ({reason}); end other ones that are stuck, or start "
                "'prefect server start' and set PREFECT_API_URL=http://127.0.0.1:4200/api"
            ) from self._error

    def _start(self) -> None:
        from prefect.server.api.server import SubprocessASGIServer

        # A process inherits the signals that the thread which starts it holds back. This thread alone does so: the
        # main one hears Ctrl-C all the while.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            SubprocessASGIServer().start()
        except Exception as err:
            self._error = err
