"""What the terminal is spared: tracebacks, and letters that it cannot show."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flows.cli.terminal import settle_streams, threads_spare, unexpected
from tasks.config.project import HERE
from tests.project import SKETCH, Project, project

__all__ = ["project"]


def kept() -> str:
    """The only traceback of this project."""
    (path,) = HERE.errors.iterdir()
    return path.read_text(encoding="utf-8")


def test_an_error_that_nobody_foresaw_is_one_line_that_names_the_file_of_its_traceback(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*_: object, **__: object) -> None:
        raise ZeroDivisionError("line one\nline two \x1b[31m")

    monkeypatch.setattr("tasks.plan.planning.make_plan", break_off)
    outcome = project.nada("plan")
    (path,) = HERE.errors.iterdir()
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == (
        "nada broke off on an error that it does not know (ZeroDivisionError: line one\\nline two \\x1b[31m); "
        f"where it happened is written in {path}\n"
    )
    assert "Traceback" in kept()
    assert "in break_off" in kept()


def test_a_traceback_is_kept_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://host/x?password=geheim")
    line = unexpected(ValueError("no login for geheim at postgresql://host/x?password=geheim"))
    assert "geheim" not in line + kept()
    assert "no login for ***" in kept()


def test_a_folder_that_cannot_be_written_sends_the_traceback_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cache").touch()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "elsewhere"))
    assert str(tmp_path / "elsewhere" / "nada-") in unexpected(ValueError("odd"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/proc/nowhere")
    assert unexpected(MemoryError()) == "nada broke off on an error that it does not know (Memory ran out)"


def test_a_thread_that_breaks_off_is_one_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    errors, before = io.StringIO(), threading.excepthook
    with threads_spare(errors):
        thread = threading.Thread(target=lambda: {}["absent"])
        thread.start()
        thread.join()
    assert errors.getvalue().startswith("nada broke off on an error that it does not know (KeyError: ")
    assert errors.getvalue().count("\n") == 1
    assert threading.excepthook is before
    assert "Traceback" in kept()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_letters_that_the_terminal_lacks_are_escaped(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    settle_streams()
    print("a smile \N{GRINNING FACE}, a file's \udcff", flush=True)
    smile = {"utf-8": "\N{GRINNING FACE}"}.get(encoding, "\\U0001f600")
    assert written.getvalue().decode() == f"a smile {smile}, a file's \\udcff\n"


LOCALES = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("name", LOCALES)
def test_a_prompt_that_the_terminal_cannot_show_is_planned_all_the_same(project: Project, name: str) -> None:
    project.prompts(SKETCH.replace("pencil sketch", "a smiling \N{GRINNING FACE} face"))
    environment = {**os.environ, **LOCALES[name], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "flows.cli", "plan", "--no-preflight"]
    result = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert rb"a smiling \U0001f600 face" in result.stdout


def test_what_was_left_out_of_the_environment_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.cli.main.NOTES", ["all_proxy: left out"])
    assert project.nada("plan", "--only", "nothing").err.startswith("all_proxy: left out\n")


def test_a_closed_output_is_no_error(project: Project) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = ["sh", "-c", f"exec {sys.executable} -m flows.cli plan --no-preflight >&-"]
    result = subprocess.run(command, stderr=subprocess.PIPE, env=environment, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
