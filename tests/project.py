"""A user's project in a temporary folder: params.yaml, prompts.csv and the tiny world's weights."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from flows.cli import main

PARAMS = """\
night:
  device: cpu
  workers: 2
generator:
  weights: world/generator.safetensors
guide:
  config_dir: world
  models:
    - name: tiny-guide
      weights: world/tiny-guide.safetensors
judge:
  model:
    name: tiny-judge
    weights: world/tiny-judge.safetensors
  num_images: 16
  batch_size: 8
samples:
  count: 6
recipes:
  style:
    iterations: 4
  shape:
    iterations: 3
    selection:
      k: 2
  broken:                     # the loss overflows at the first step
    global_weight: 1.0e+39
"""
HEADER = "domain,source,target,recipe,reference_images"
SKETCH = "sketch,portrait,pencil sketch,style,world/truth"
ROBOT = "robot,portrait,robot,shape,"
BROKEN = "broken,portrait,broken glass,broken,"


TIMED = ("row.json", "evaluation.json")
"""Records that hold times."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str


@dataclass
class Project:
    """The folder, and the `nada` command in it."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def prompts(self, *rows: str) -> None:
        """Replace prompts.csv."""
        write_prompts(self.folder, *rows)

    def nada(self, *arguments: str) -> Outcome:
        """Run the command in this process."""
        self.capture.readouterr()
        status = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["nada", *arguments])
            try:
                main.main()
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Outcome(status, *self.capture.readouterr())

    def row_bytes(self, domain: str) -> dict[str, bytes]:
        """What a row must reproduce exactly: everything but the two records that hold times."""
        return row_bytes(self.folder, domain)


def row_bytes(folder: Path, domain: str) -> dict[str, bytes]:
    """What a row must reproduce exactly, by file."""
    row = folder / "weights" / "adapted" / domain
    return {path.name: path.read_bytes() for path in row.iterdir() if path.name not in TIMED}


def write_prompts(folder: Path, *rows: str, header: str = HEADER) -> None:
    """Write a project's prompts.csv; cells that a row lacks at its end are empty."""
    missing = [header.count(",") - row.count(",") for row in rows]
    lines = [row + "," * number for row, number in zip(rows, missing, strict=True)]
    (folder / "prompts.csv").write_text("\n".join([header, *lines]) + "\n")


def write_own_tasks(folder: Path) -> None:
    """Code of the user's own under a name of ours, which no process of ours may import."""
    (folder / "tasks").mkdir()
    (folder / "tasks" / "__init__.py").write_text("raise SystemExit('the project\\'s own file was imported')")


def run_alone(folder: Path, *arguments: str) -> Outcome:
    """Run the command where no test captures what is printed, as in a fixture of a whole module."""
    out, err = io.StringIO(), io.StringIO()

    class Kept:
        def readouterr(self) -> tuple[str, str]:
            kept = (out.getvalue(), err.getvalue())
            for stream in (out, err):
                stream.seek(0)
                stream.truncate()
            return kept

    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        return Project(folder, Kept()).nada(*arguments)  # type: ignore[arg-type]


def make_project(folder: Path, world: Path) -> None:
    """Fill a folder with a project of two rows."""
    shutil.copytree(world, folder / "world")
    truth = folder / "world" / "truth"
    truth.mkdir()
    for index in range(8):
        Image.new("RGB", (16, 16), (index * 30, 90, 160)).save(truth / f"{index}.png")
    (folder / "params.yaml").write_text(PARAMS)


@pytest.fixture
def project(
    tmp_path: Path, tiny_world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Project]:
    """A fresh project of two rows, as the working folder."""
    make_project(tmp_path, tiny_world)
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path, capsys)
    made.prompts(SKETCH, ROBOT)
    yield made
