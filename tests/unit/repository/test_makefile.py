"""The Makefile offers what the README promises, and says so."""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OF_NIGHTS = ["demo", "faces", "photographs", "avatars"]
TARGETS = ["help", "setup", *OF_NIGHTS, "test", "test-gpu", "lint", "type", "browser", "bench", "report", "ui", "clean"]


def make(*arguments: str) -> list[str]:
    # Below another make, this one would announce its folder.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    command = ["make", *arguments]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


def test_help_is_the_default_and_lists_every_target() -> None:
    lines = make()
    assert [line.split()[1] for line in lines] == TARGETS
    assert all(len(line.split()) > 4 for line in lines)
    assert make("help") == lines


def dry(target: str) -> list[str]:
    """What it would run, once everything is installed."""
    return make("--dry-run", "--old-file=.venv/.installed", target)


@pytest.mark.parametrize(("target", "folder"), [("faces", "cd examples/faces && "), ("avatars", "")])
def test_a_whole_night_is_a_dvc_pipeline_then_its_report(target: str, folder: str) -> None:
    assert dry(target)[-1] == f"{folder}dvc repro && nada report"


def test_the_demo_fetches_draws_what_it_is_judged_by_and_makes_rows_that_there_are() -> None:
    commands = dry("demo")
    assert any("nada weights fetch" in command for command in commands)
    with (ROOT / "examples/faces/prompts.csv").open(newline="") as file:
        rows = {row["domain"]: row for row in csv.DictReader(file)}
    assert f"--domains {','.join(rows)} --out" in "\n".join(commands)
    asked = commands[-1].removeprefix("cd examples/faces && nada run ").removesuffix(" && nada report").split()
    assert set(asked[::2]) == {"--only"} and set(asked[1::2]) <= rows.keys() and len(asked) <= 10


def test_cleaning_spares_what_is_costly_to_make_again() -> None:
    (command,) = make("--dry-run", "clean")
    removed = command.split()
    assert removed[:2] == ["rm", "-rf"]
    assert not {".venv", ".dvc", ".dvc/cache", ".dvc-remote", "weights", "examples"} & set(removed)


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "make test"
