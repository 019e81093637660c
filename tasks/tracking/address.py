"""Where MLflow's store is, and how its address is shown: never with what it may hold of secrets.

The store is `.mlflow/` beside params.yaml, or whatever MLFLOW_TRACKING_URI names.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from tasks.config.project import HERE

SQLITE = "sqlite:///"
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
    """The line that opens MLflow's pages on this store."""
    command = f"mlflow ui --backend-store-uri {shlex.quote(without_secrets(tracking_uri()))}"
    is_relative = is_own() and not Path(_own_path()).is_absolute()
    return f"cd {shlex.quote(str(Path.cwd()))} && {command}" if is_relative else command


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
