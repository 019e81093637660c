"""Prefect's server on a socket that its parent holds; run as `python -m flows.server_process FD PARENT_PID`.

It ends with its parent, which ends it by SIGTERM or by dying.
"""

from __future__ import annotations

import socket
import sys

from tasks.workers.watchdog import end_with_parent


def main() -> None:
    """Serve until told to end."""
    fd, parent_pid = (int(argument) for argument in sys.argv[1:3])
    end_with_parent(parent_pid)
    listening = socket.socket(fileno=fd)

    import uvicorn  # after the watchdog: the application takes seconds to import

    from flows.server_database import begin_database

    begin_database()

    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, lifespan="on", log_level="error")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
