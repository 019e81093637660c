"""Nights by the clock: Prefect's scheduler starts the flow in a process of its own, each night anew."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prefect.runner import Runner
from prefect.schedules import Cron, Schedule
from prefect.settings import (
    PREFECT_SERVER_UI_API_URL,
    get_current_settings,
    temporary_settings,
)
from prefect.types.entrypoint import EntrypointType

from flows.night import night
from flows.server import EmbeddedServer, ServerError, answers, new_secret
from nada.atomic import writing
from nada.errors import ParamsError
from tasks.tracking.address import without_secrets

NAME = "nightly"
SECRET_NAME = "serve.secret"
FIELDS = 5  # of a schedule; fewer are names such as @daily
LOCAL_TIME = Path("/etc/localtime")
ZONES = "zoneinfo/"


def serve(cron: str, params_path: Path, port: int, say: Callable[[str], None]) -> None:
    """Start or find a Prefect server, and run a night whenever the schedule says so, until Ctrl-C or SIGTERM.

    One night at a time: one that is still running when the next is due lets it wait.

    Args:
        cron: five fields, in this machine's local time.
        params_path: params.yaml.
        port: of a server that is started; PREFECT_API_URL names one that is there.
        say: told the addresses.

    Raises:
        ParamsError: the schedule cannot be read.
        ServerError: the server does not answer, or its port is taken.
    """
    schedule = schedule_of(cron)
    with api(port) as (url, secret_path):
        where = "" if secret_path is None else f"    (asks for the secret in {secret_path})"
        say(f"Prefect  {without_secrets(url).removesuffix('/api')}{where}")
        say(f"Nights   {cron} ({schedule.timezone}); nada status shows the one that runs; Ctrl-C ends")
        runner = Runner(name=NAME, limit=1)
        runner.add_flow(
            night,
            name=NAME,
            schedule=schedule,
            parameters={"params_path": str(params_path)},
            enforce_parameter_schema=False,  # the flow's own parameters are no JSON
            entrypoint_type=EntrypointType.MODULE_PATH,  # wherever the user stands
        )
        # Prefect's own answer to SIGTERM forgets to wait for what it stops; a shell's `&` has Ctrl-C ignored.
        runner.handle_sigterm = _interrupt  # type: ignore[method-assign]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            asyncio.run(runner.start())


def _interrupt(*_: Any) -> None:
    """SIGTERM as Ctrl-C in a terminal, which the night that runs hears too."""
    for pid in _children():
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == os.getpgrp():  # servers and workers have groups of their own
                os.kill(pid, signal.SIGINT)
    signal.raise_signal(signal.SIGINT)


def _children() -> list[int]:
    """Processes that this one started; none where the system does not tell."""
    found: list[int] = []
    for children in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # its thread has ended since it was found
            found += map(int, children.read_text().split())
    return found


def schedule_of(cron: str) -> Schedule:
    """A schedule in this machine's local time.

    Raises:
        ParamsError: no such schedule.
    """
    wrong = f"--cron: {cron!r} is no schedule; expected minute, hour, day, month and weekday, such as '0 22 * * *'"
    if len(cron.split()) > FIELDS:  # Prefect takes a sixth for seconds; where others have them first, all would move
        raise ParamsError(wrong)
    try:
        return Cron(cron, timezone=local_zone())
    except ValueError as err:
        raise ParamsError(wrong) from err


def local_zone() -> str:
    """The name of this machine's time zone; UTC where it has none.

    Raises:
        ParamsError: TZ names none.
    """
    if name := os.environ.get("TZ", "").removeprefix(":"):
        try:
            return ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError) as err:  # no such file, a path, a folder
            raise ParamsError(f"TZ: {name!r} names no time zone; expected one such as Europe/Berlin") from err
    _, found, name = LOCAL_TIME.resolve().as_posix().partition(ZONES)
    return name if found else "UTC"


@contextmanager
def api(port: int) -> Iterator[tuple[str, Path | None]]:
    """The address of a Prefect server with its scheduler: the one that the settings name, or one of our own.

    With it the file that holds the secret of our own, for whoever may read this user's files.

    Raises:
        OutputError: that file cannot be written.
        ServerError: it does not answer, or the port is taken.
    """
    if url := get_current_settings().api.url:
        if not answers():
            raise ServerError(
                f"{without_secrets(url)}: Prefect does not answer; start it, or unset PREFECT_API_URL to start one here"
            )
        yield url, None
        return
    url, (secret, secret_path) = f"http://127.0.0.1:{port}/api", kept_secret()
    try:
        server = EmbeddedServer(port, settings={"PREFECT_SERVER_UI_API_URL": url}, secret=secret)
    except OSError as err:
        raise ServerError(f"127.0.0.1:{port}: {os.strerror(err.errno or 0)}; choose another --port") from err
    with temporary_settings({**server.access, PREFECT_SERVER_UI_API_URL: url}):
        try:
            server.ready()
            yield url, secret_path
        finally:
            server.stop()


def kept_secret() -> tuple[str, Path | None]:
    """The secret of the project's own server: what Prefect's settings say, or the one of a file, which comes with it.

    The file is for this user alone, and keeps the secret for the next start.

    Raises:
        OutputError: it cannot be written.
    """
    if given := get_current_settings().server.api.auth_string:
        return given.get_secret_value(), None
    path = Path(os.environ["PREFECT_HOME"]) / SECRET_NAME
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            if not (secret := file.read().strip()):
                secret = new_secret()
                file.write(secret)
    return secret, path
