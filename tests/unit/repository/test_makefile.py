"""The Makefile offers what the README promises, and says so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
TARGETS = ["help", "setup", "demo", "faces", "test", "lint", "type", "browser", "bench", "report", "ui", "clean"]


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


def test_the_demo_is_a_dvc_pipeline_then_its_report() -> None:
    commands = make("--dry-run", "--old-file=.venv/.installed", "demo")
    assert commands[-1] == "dvc repro && nada report"


def test_cleaning_spares_what_is_costly_to_make_again() -> None:
    (command,) = make("--dry-run", "clean")
    removed = command.split()
    assert removed[:2] == ["rm", "-rf"]
    assert not {".venv", ".dvc", ".dvc/cache", ".dvc-remote", "weights", "examples"} & set(removed)


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "make test"
