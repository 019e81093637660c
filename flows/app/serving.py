"""The app on an address, until somebody ends it."""

from __future__ import annotations

import ipaddress
import socket
import webbrowser
from contextlib import ExitStack
from pathlib import Path

import uvicorn

from flows.app.guard import LOCAL
from flows.app.server import Server
from flows.cli.terminal import PlainConsole, echo
from nada.errors import OutputError
from tasks.library.domains import finished_domains
from tasks.library.studio import Studio


def serve(params: Path, device: str, host: str, port: int, is_opened: bool) -> None:
    """Answer until Ctrl-C.

    Raises:
        OutputError: the address cannot be had.
        CheckpointError, ParamsError: there is no generator to draw with.
    """
    studio = Studio(params, device)
    studio.resolution()  # whatever is wrong is said before anybody opens a page
    console = PlainConsole(stderr=True, highlight=False, soft_wrap=True)
    if not finished_domains():
        console.print("No domain is finished yet: only the source can be drawn. nada run makes domains.", markup=False)
    listening = _listen(host, port)
    name, number = listening.getsockname()[:2]
    is_local = ipaddress.ip_address(name).is_loopback
    address = f"http://{f'[{name}]' if ':' in name else name}:{number}"
    if not is_local:
        console.print(
            "Everybody who reaches this machine can see the library, draw with it, fetch its weights and upload "
            "photos: there is no password.", style="yellow",
        )  # fmt: skip
    echo(address)
    console.print("Ctrl-C ends it.", markup=False)
    if is_opened:
        webbrowser.open(address)
    made = Server(studio, Path.cwd().name).application({*LOCAL, name} if is_local else ())
    config = uvicorn.Config(
        made, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=1
    )
    try:
        uvicorn.Server(config).run([listening])
    except KeyboardInterrupt:
        console.print("Ended.", markup=False)
    finally:
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as stack:
            listening = stack.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen()  # who comes before the server does waits, and is not refused
            stack.pop_all()
    except OSError as err:
        raise OutputError(f"--host {host} --port {port}: cannot be had ({err.strerror or err}); try --port 0") from err
    return listening
