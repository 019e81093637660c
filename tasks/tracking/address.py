"""Where MLflow's store is, and how its address is shown: never with what it may hold of secrets.

The store is `.mlflow/` beside params.yaml, or whatever MLFLOW_TRACKING_URI names.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from tasks.config.project import HERE

SQLITE = "sqlite:///"
PORT = 5000  # MLflow's own default; the printed line names it, to be changed where it is taken
EXPERIMENTS_NAME = "experiments"
"""Lines of `STORE EXPERIMENT` beside the project's own store; it may be removed, the next night writes it."""
# As SQLAlchemy reads an address, more or less: a password may hold anything but an @.
_ADDRESS = re.compile(r"(?P<scheme>\b[A-Za-z][\w+.-]*://)(?P<user>[^\s:/@'\"]*(?::[^\s@'\"]*)?@)?(?P<rest>[^\s'\"]*)")


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the project's own SQLite store where that is not set, or empty."""
    return os.environ.get("MLFLOW_TRACKING_URI") or SQLITE + _own_path()


def is_own() -> bool:
    """Whether the store is the project's own."""
    return not os.environ.get("MLFLOW_TRACKING_URI")


def sqlite_path(uri: str) -> Path | None:
    """The file of a store that is an SQLite database; None of any other, such as one in memory."""
    path = uri.removeprefix(SQLITE).partition("?")[0]
    return Path(path) if uri.startswith(SQLITE) and path and not path.startswith((":memory:", "file:")) else None


def ui_command() -> str:
    """What opens the list of runs in MLflow's pages: their address on a server, or the line that starts one."""
    uri = tracking_uri()
    if uri.startswith("http"):
        return f"{without_secrets(uri).rstrip('/')}/{runs_page()}"
    command = f"mlflow ui --backend-store-uri {shlex.quote(without_secrets(uri))} --port {PORT}"
    is_relative = is_own() and not Path(_own_path()).is_absolute()
    command = f"cd {shlex.quote(str(Path.cwd()))} && {command}" if is_relative else command
    return f"{command}    # then open http://127.0.0.1:{PORT}/{runs_page()}"


def runs_page() -> str:
    """Where MLflow lists the runs, below a server's address; its front page where no night has run yet.

    An experiment opens on an overview of traces, of which nights have none.
    """
    try:
        lines = (HERE.mlflow / EXPERIMENTS_NAME).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    known = dict(line.split(" ", 1) for line in lines if " " in line)
    number = known.get(_experiment_name(tracking_uri()), "")
    return f"#/experiments/{quote(number)}/runs?workflowType=machine_learning" if number else ""


def note_experiment(uri: str, experiment_id: str) -> None:
    """Remember where a store keeps this project's runs; a folder that cannot be written costs the link alone."""
    line = f"{_experiment_name(uri)} {experiment_id}\n"
    path = HERE.mlflow / EXPERIMENTS_NAME
    with suppress(OSError, UnicodeDecodeError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or line not in path.read_text(encoding="utf-8").splitlines(keepends=True):
            with path.open("a", encoding="utf-8") as file:
                file.write(line)


def _experiment_name(uri: str) -> str:
    """Of a store and its experiment, without what the address holds of secrets."""
    chosen = os.environ.get("MLFLOW_EXPERIMENT_NAME", "")
    return hashlib.sha256(f"{uri} {chosen}".encode()).hexdigest()[:16]


def without_secrets(text: str) -> str:
    """A text whose addresses have no user, password or query, and that quotes none of MLFLOW_TRACKING_URI's.

    >>> without_secrets("https://me:secret@host/path refuses")
    'https://***@host/path refuses'
    >>> without_secrets("mysql://host/runs?password=secret")
    'mysql://host/runs?***'
    """
    shown = _ADDRESS.sub(_bare, text)
    for secret in _secrets(os.environ.get("MLFLOW_TRACKING_URI", "")):
        shown = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", shown)
    return shown


def _bare(address: re.Match[str]) -> str:
    path, query, _ = address["rest"].partition("?")
    return address["scheme"] + ("***@" if address["user"] else "") + path + ("?***" if query else "")


def _secrets(uri: str) -> set[str]:
    """Password and values of the query, as they are written and as they are meant: errors quote both."""
    address = _ADDRESS.match(uri)
    if address is None:
        return set()
    query = address["rest"].partition("?")[2]
    password = (address["user"] or "@")[:-1].partition(":")[2]
    written = [password, *(part.partition("=")[2] for part in query.split("&"))]
    meant = [unquote(password), *(value for _, value in parse_qsl(query))]
    return {secret for secret in (*written, *meant) if secret}


def _own_path() -> str:
    """Absolute, so that the line that opens the pages works anywhere; a `?` would begin the address's query."""
    path = HERE.mlflow.resolve() / "mlflow.db"
    return str(HERE.mlflow / "mlflow.db" if "?" in str(path) else path)
