"""The address of MLflow's store, as it is used and as it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.tracking import address

SECRETS = {
    "postgresql://me:geheim@host/runs": "postgresql://***@host/runs",
    "postgresql+psycopg2://me:geh/eim@host/runs": "postgresql+psycopg2://***@host/runs",
    "postgresql://host/runs?user=me&password=geheim": "postgresql://host/runs?***",
    "mysql://me@host/runs?password=geheim&ssl=1": "mysql://***@host/runs?***",
    "https://host/mlflow?token=geheim": "https://host/mlflow?***",
    "sqlite:///runs.db?password=geheim": "sqlite:///runs.db?***",
    "http://127.0.0.1:5000": "http://127.0.0.1:5000",
    "sqlite:////home/me@work/mlflow.db": "sqlite:////home/me@work/mlflow.db",
}


@pytest.mark.parametrize("uri", SECRETS)
def test_an_address_is_shown_without_what_is_secret_in_it(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert address.tracking_uri() == uri
    assert address.without_secrets(uri) == SECRETS[uri]
    assert "geheim" not in address.ui_command()


@pytest.mark.parametrize("query", ["password=ge%20heim", "password=ge+heim", "x=1&password=ge%20heim"])
def test_an_error_that_quotes_the_secret_alone_is_shown_without_it(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://host/runs?{query}")
    said = address.without_secrets('FATAL: "ge heim" is not the password (ge%20heim, ge+heim)')
    assert "ge heim" not in said
    assert query.rpartition("=")[2] not in said


def test_a_secret_of_a_letter_leaves_words_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://u:p@host/x")
    assert address.without_secrets("No module named 'psycopg2', password p") == (
        "No module named 'psycopg2', password ***"
    )


def test_an_empty_address_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert address.is_own()
    assert address.tracking_uri() == f"sqlite:///{tmp_path}/.mlflow/mlflow.db"


def test_a_question_mark_in_the_folder_begins_no_query(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    odd = tmp_path / "a ?x=y"
    odd.mkdir()
    monkeypatch.chdir(odd)
    assert address.tracking_uri() == "sqlite:///.mlflow/mlflow.db"
    assert address.ui_command().startswith(
        f"cd '{odd}' && mlflow ui --backend-store-uri sqlite:///.mlflow/mlflow.db --port 5000"
    )


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////data/runs.db?timeout=5", Path("/data/runs.db")),
        ("sqlite:///runs.db", Path("runs.db")),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("postgresql://host/runs", None),
    ],
)
def test_only_a_database_of_sqlite_is_a_file(uri: str, path: Path | None) -> None:
    assert address.sqlite_path(uri) == path


def test_the_list_of_runs_is_where_one_looks_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:geheim@host/mlflow/")
    assert address.ui_command() == "https://***@host/mlflow/"  # no night has run yet
    for number in ("3", "3", "7"):  # made anew
        address.note_experiment(address.tracking_uri(), number)
    page = "#/experiments/7/runs?workflowType=machine_learning"
    assert address.ui_command() == f"https://***@host/mlflow/{page}"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    assert address.ui_command() == "https://***@host/mlflow/"
    assert "geheim" not in (tmp_path / ".mlflow" / "experiments").read_text()
