"""How a checkout is prepared where git is absent, refuses, or came later. DVC and git are the real ones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nada.errors import ParamsError
from tasks.report.compare import load_night_metrics
from tasks.store import versioning

LOCAL = Path(".dvc") / "config.local"
REFUSED = (
    "this git repository belongs to another user, so git refuses it, and nothing ties weights to the code that made "
    "them; trust it with: git config --global --add safe.directory "
)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of DVC's in a git repository of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(
        "[core]\n    remote = local\n['remote \"local\"']\n    url = ../.dvc-remote\n"
    )
    git("init", "--quiet")
    return tmp_path


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


def local_config(checkout: Path) -> str:
    path = checkout / LOCAL
    return path.read_text() if path.exists() else ""


def test_a_repository_of_another_owner_is_named_as_such_and_the_settings_stay(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own way to try it
    monkeypatch.setenv("LANGUAGE", "de")
    assert versioning.prepare_checkout(checkout) == [f"{REFUSED}{checkout}"]
    assert local_config(checkout) == ""
    with pytest.raises(ParamsError, match=r"^this git repository belongs to another user"):
        load_night_metrics("HEAD~1")
    monkeypatch.delenv("GIT_TEST_ASSUME_DIFFERENT_OWNER")
    assert versioning.prepare_checkout(checkout) == []


def test_a_copy_without_git_that_becomes_a_repository_is_one_for_dvc_too(checkout: Path) -> None:
    (checkout / ".git").rename(checkout / "kept")
    (line,) = versioning.prepare_checkout(checkout)
    assert line.startswith("no git repository: ")
    assert "no_scm = true" in local_config(checkout)
    assert versioning.prepare_checkout(checkout) == []
    (checkout / "kept").rename(checkout / ".git")
    assert versioning.prepare_checkout(checkout) == ["a git repository now: DVC works with it again"]
    assert "no_scm" not in local_config(checkout)


def test_a_machine_without_git_has_no_repository(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "empty").mkdir()
    monkeypatch.setenv("PATH", os.fspath(checkout / "empty"))
    assert versioning.commit(checkout) == {}
    (line,) = versioning.prepare_checkout(checkout)
    assert line.startswith("no git repository: ")


@pytest.mark.parametrize(
    "said",
    [
        "fatal: detected dubious ownership in repository at '/p'\n\n\tgit config --global --add safe.directory /p\n",
        "fatal: unsafe repository ('/p' is owned by someone else)\nTo add an exception, call:\n\n"
        "\tgit config --global --add safe.directory /p\n",
    ],
)
def test_every_version_of_git_that_refuses_is_understood(said: str) -> None:
    assert versioning.refusal_of_git(said) == f"{REFUSED}/p"
    assert versioning.refusal_of_git("fatal: not a git repository (or any of the parent directories): .git") is None
