"""Which refusals of a store may pass by themselves, and what is said of those that do not."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest
import sqlalchemy.exc
from mlflow.exceptions import MlflowException, RestException

from nada.errors import InputError
from tasks.tracking.refusals import StoreRefusedError, refusal

SERVER, DATABASE, FILE = "http://host:5000", "postgresql://me:geheim@host/runs", "sqlite:////data/runs.db"


def sqlite_error(name: str) -> sqlite3.Error:
    err = sqlite3.OperationalError(name)
    err.sqlite_errorname = name
    return err


def wrapped(err: Exception) -> MlflowException:
    """As MLflow wraps what its libraries raise."""
    try:
        raise MlflowException(f"wrapped {err}") from err
    except MlflowException as outer:
        return outer


PASSING = [
    (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), SERVER),
    (wrapped(TimeoutError("no answer")), SERVER),
    (RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}), SERVER),
    (RestException({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "slower"}), SERVER),
    (sqlalchemy.exc.OperationalError("connect", {}, Exception("no route")), DATABASE),
    (sqlite_error("SQLITE_BUSY"), FILE),
    (wrapped(sqlalchemy.exc.OperationalError("insert", {}, sqlite_error("SQLITE_FULL"))), FILE),
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), FILE),
]
LASTING = [
    (ModuleNotFoundError("No module named 'psycopg2'"), DATABASE, "install the driver of that database, or unset"),
    (MlflowException.invalid_parameter_value("in maintenance mode"), "./mlruns", "name another store in"),
    (RestException({"error_code": "PERMISSION_DENIED", "message": "no"}), SERVER, "name another store in"),
    (MlflowException("Detected out-of-date database schema"), FILE, "name another store in"),
    (sqlite_error("SQLITE_NOTADB"), FILE, "name another store in"),
    (wrapped(PermissionError(errno.EACCES, "denied")), FILE, "name another store in"),
    (ValueError("invalid literal for int() with base 10: 'port'"), DATABASE, "name another store in"),
    (KeyError("odd"), "odd://host", "name another store in"),
]


@pytest.mark.parametrize(("err", "uri"), PASSING)
def test_what_may_pass_is_no_reason_to_give_up_a_night(err: Exception, uri: str) -> None:
    assert not isinstance(refusal(err, uri), StoreRefusedError)


@pytest.mark.parametrize(("err", "uri", "remedy"), LASTING)
def test_what_does_not_pass_is_input_and_says_what_to_do(
    err: Exception, uri: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    refused = refusal(err, uri)
    assert isinstance(refused, StoreRefusedError) and isinstance(refused, InputError)
    assert f"; {remedy}" in str(refused)
    assert "geheim" not in str(refused)
    assert "\n" not in str(refused)


def test_the_projects_own_store_is_never_to_be_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said = str(refusal(sqlite_error("SQLITE_NOTADB"), "sqlite:////p/.mlflow/mlflow.db"))
    assert said == (
        "MLflow at sqlite:////p/.mlflow/mlflow.db: SQLITE_NOTADB; mend it, or move /p/.mlflow/mlflow.db away: the "
        "next night makes a new one"
    )
