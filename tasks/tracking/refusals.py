"""What a store that refuses means for a night: whether another try may go better, and what to do where none will."""

from __future__ import annotations

import errno
import shlex
import sqlite3
from collections.abc import Iterator

from nada.errors import OutputError
from tasks.tracking.address import is_own, sqlite_path, without_secrets

# Of a disk or a socket: what nobody mends meanwhile. A full disk, or a server that is gone, may be another in minutes.
LASTING_ERRNOS = {
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.ENAMETOOLONG,
    errno.ELOOP,
}  # fmt: skip
PASSING_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR")
PASSING_STATUSES = {408, 429}  # and all that begin with 5


class StoreError(OutputError):
    """MLflow's store refuses."""


class StoreRefusedError(StoreError):
    """It refuses whenever it is asked, until somebody does what the message says."""


def refusal(err: Exception, uri: str) -> StoreError:
    """What a store at this address or its driver raised, as an error of ours, without what it holds of secrets."""
    lines = str(err).strip().splitlines() or [type(err).__name__]
    said = f"MLflow at {without_secrets(uri)}: {without_secrets(lines[0])}"
    if _may_pass(err, uri):
        return StoreError(said)
    return StoreRefusedError(f"{said}; {_remedy(err, uri)}")


def deleted_experiment(uri: str, name: str, experiment_id: str) -> StoreRefusedError:
    """The experiment of the nights lies in MLflow's bin, and takes no runs."""
    address = without_secrets(uri)
    restore = f"MLFLOW_TRACKING_URI={shlex.quote(address)} mlflow experiments restore --experiment-id {experiment_id}"
    return StoreRefusedError(
        f"MLflow at {address}: the experiment {name!r} was deleted; bring it back ({restore}), or name another one in "
        "MLFLOW_EXPERIMENT_NAME"
    )


def _may_pass(err: Exception, uri: str) -> bool:
    """Whether the same call may go well later in the night, with nobody's help."""
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    chain = list(_causes(err))
    for cause in chain:
        if isinstance(cause, sqlite3.Error):
            return (getattr(cause, "sqlite_errorname", None) or "").startswith(PASSING_SQLITE)
        if isinstance(cause, OSError):
            return cause.errno not in LASTING_ERRNOS
    if any(isinstance(cause, sqlalchemy.exc.OperationalError) for cause in chain):
        return True  # of a database server
    if isinstance(err, MlflowException) and uri.startswith("http"):
        status = int(err.get_http_status_code())  # type: ignore[no-untyped-call]
        return status in PASSING_STATUSES or status >= 500
    return False


def _causes(err: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, or while another was handled."""
    found: BaseException | None = err
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _remedy(err: Exception, uri: str) -> str:
    if is_own():
        return f"mend it, or move {sqlite_path(uri)} away: the next night makes a new one"
    own = "unset MLFLOW_TRACKING_URI for the project's own store"
    if isinstance(err, ImportError):
        return f"install the driver of that database, or {own}"
    return f"name another store in MLFLOW_TRACKING_URI, or {own}"
