"""How Prefect and its neighbours behave here: embedded, quiet, nothing sent anywhere, wherever the command runs.

This is the one place that says so. It must run before prefect is imported, which reads its settings once; what
the user has set in the environment stays, but for proxies that nobody here could speak to.
"""

from __future__ import annotations

import getpass
import os
import shlex
from pathlib import Path
from urllib.parse import urlsplit

PREFECT_FOLDER = ".prefect"
PREFECT_DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
PORT = 4200  # Prefect's own default; the printed line names it, to be changed where it is taken
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
SPOKEN = ("http", "https")  # schemes of proxies; SOCKS takes a package that is not among ours
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def settle_environment(project: Path | None = None) -> list[str]:
    """Fill in the settings that the user left open.

    Args:
        project: the folder that keeps Prefect's database; by default where the command runs.

    Returns:
        What was left out of what the user has set, a line each.
    """
    project = project or _here()
    for name, value in {
        "PREFECT_HOME": str(project / PREFECT_FOLDER),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # Runs keep their logs in Prefect's own pages; the terminal belongs to the progress lines.
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
        # A request to a dead server is given up after 30 seconds, not 60: by then an embedded one is back.
        "PREFECT_CLIENT_MAX_RETRIES": "4",
        # Ten seconds of the processor, of which a busy machine gives a tenth; one that died is noticed at once.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
        "GIT_PYTHON_REFRESH": "quiet",  # a machine without git is told so once, by us
    }.items():
        os.environ.setdefault(name, value)
    if "?" in os.environ["PREFECT_HOME"]:  # would begin the query of the database's address
        os.environ.setdefault(PREFECT_DATABASE, _relative_database())
    _name_user(project)
    return _settle_proxies()


def prefect_ui_command() -> str:
    """The line that opens Prefect's pages on this project's nights."""
    home = os.environ["PREFECT_HOME"]
    settings = f"PREFECT_HOME={shlex.quote(home)} PREFECT_UI_API_URL=/api"  # of whatever port the pages come from
    command = f"{settings} prefect server start --port {PORT}    # then open http://127.0.0.1:{PORT}/runs"
    if "?" not in home:
        return command
    return f"cd {shlex.quote(str(Path.cwd()))} && {PREFECT_DATABASE}={shlex.quote(_relative_database())} {command}"


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was removed; the command says which file it misses
        return Path()


def _relative_database() -> str:
    return f"sqlite+aiosqlite:///{os.path.relpath(os.environ['PREFECT_HOME'])}/prefect.db"


def _name_user(project: Path) -> None:
    """A container's user may have neither name nor home; libraries ask for both, some while they are imported."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(project / ".cache" / "home")
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = str(os.getuid())


def _settle_proxies() -> list[str]:
    """Keep requests to this machine out of every proxy, and drop proxies that would break every client as it is made.

    Returns:
        The variables that were dropped, a line each.
    """
    names = [name for name in os.environ if name.lower() in PROXIES and os.environ[name]]
    if not names:
        return []
    spared = [host.strip() for host in (os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")).split(",")]
    hosts = ",".join([host for host in spared if host] + [host for host in LOOPBACK if host not in spared])
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = hosts  # libraries differ in which of the two they read
    unspoken = [name for name in names if not _is_spoken(os.environ[name])]
    for name in unspoken:
        del os.environ[name]
    return [f"{name}: left out, for it names no http:// or https:// proxy" for name in unspoken]


def _is_spoken(proxy: str) -> bool:
    try:
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return address.scheme in SPOKEN and bool(address.hostname) and address.port != 0
    except ValueError:  # no such port or host
        return False
