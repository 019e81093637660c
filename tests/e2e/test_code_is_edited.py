"""A library that one version of the code made is read by an edited one: `nada plan` says what the edit costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_dvc_restores_weights import ROOT
from tests.plain_night import NIGHT, logged
from tests.project import HEADER, ROBOT, SKETCH, make_project

CURRENT, JUDGED, MADE = "0 to train, 2 current.", "0 to train, 2 to judge, 0 current.", "2 to train, 0 current."


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Path:
    """A project of two finished rows."""
    folder = tmp_path_factory.mktemp("project")
    make_project(folder, tiny_world)
    (folder / "prompts.csv").write_text("\n".join([HEADER, SKETCH, ROBOT]) + "\n")
    python(folder, ROOT, "-m", "tests.plain_night")
    assert logged(folder) == [NIGHT, "sketch", "robot"]
    return folder


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the code, to be edited."""
    for package in ("nada", "tasks", "flows"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def python(folder: Path, code: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(code)}
    command = [sys.executable, *arguments]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def planned(library: Path, code: Path) -> str:
    """What `nada plan` counts, by the code of a folder."""
    assert python(library, code, "-c", "import nada; print(nada.__file__)").startswith(str(code))
    out = python(library, code, "-m", "flows.cli", "plan", "--no-preflight")
    return next(line.removeprefix("2 domains: ") for line in out.splitlines() if line.startswith("2 domains: "))


def test_what_computes_nothing_for_a_row_makes_and_judges_none_again(library: Path, code: Path) -> None:
    edit(code / "nada/clip/losses.py", "The losses of StyleGAN-NADA", "Three losses")
    edit(code / "nada/clip/losses.py", "EDIT_EPS = 1e-2\n", "EDIT_EPS = 1e-2  # in words\n")
    (code / "nada/methods/adapt/unused.py").write_text("ANSWER = 42\n")
    with (code / "nada/latent_walks.py").open("a") as file:
        file.write("\n\ndef unrelated() -> int:\n    return 1\n")
    assert planned(library, code).startswith(CURRENT)


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        ("nada/methods/adapt/early_stopping.py", "PROBE_SEED = 20_220_719", "PROBE_SEED = 7", MADE),
        ("nada/clip/losses.py", "return 1 - (emb @ emb_text).mean()", "return 2 - (emb @ emb_text).mean()", MADE),
        ("nada/judge/set_distances.py", "DEGREE, OFFSET = 3", "DEGREE, OFFSET = 2", JUDGED),
    ],
    ids=["the seed of probes", "a loss", "a score"],
)
def test_what_a_half_runs_does_that_half_again(
    library: Path, code: Path, path: str, old: str, new: str, expected: str
) -> None:
    edit(code / path, old, new)
    assert planned(library, code).startswith(expected)
