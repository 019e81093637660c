"""The wheel alone is nada: installed away from the checkout, beside `tasks/` and `flows.py` of a project's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.project import SKETCH, make_project, write_own_tasks, write_prompts

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
READ_AT_RUN_TIME = (".yaml", ".json", ".j2", ".html.j2", ".css", ".js", ".safetensors")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without a network from what git would ship."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("nada", "tasks", "flows"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "nada_night.py"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=source, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds nada and nothing else; what it depends on is where the tests have it."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", str(folder)]
    subprocess.run([*command, "--no-compile", str(wheel)], check=True, capture_output=True)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with code of its own, under names of ours."""
    write_own_tasks(tmp_path)
    shutil.copy(tmp_path / "tasks" / "__init__.py", tmp_path / "flows.py")
    return tmp_path


def nada(installed: Path, folder: Path, *arguments: str) -> str:
    """What the installed command prints."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    environment["PATH"] = (
        f"{installed / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    command = [str(installed / "bin" / "nada"), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_file_that_is_read_at_run_time_is_in_the_wheel(wheel: Path) -> None:
    packed = set(ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in ("nada", "tasks", "flows")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and (path.suffix in READ_AT_RUN_TIME or "templates" in path.parts)
    }
    assert "tasks/download/parts/mobilestylegan-ffhq-256.part.safetensors" in wanted
    assert wanted - packed == set()


def test_it_says_what_it_is(installed: Path, project: Path) -> None:
    assert nada(installed, project, "--version") == "nada 0.1.0\n"
    assert "nada init FOLDER" in nada(installed, project, "--help")


def test_a_project_begins_and_is_planned_beside_code_of_the_same_names(
    installed: Path, project: Path, tiny_world: Path
) -> None:
    make_project(project, tiny_world)
    own = (project / "params.yaml").read_bytes()
    write_prompts(project, SKETCH)
    said = nada(installed, project, "init", ".")
    assert "there already, and left as they are: params.yaml, prompts.csv" in said
    assert (project / "params.yaml").read_bytes() == own
    assert "1 domain: 1 to train, 0 current." in nada(installed, project, "plan", "--no-preflight")
