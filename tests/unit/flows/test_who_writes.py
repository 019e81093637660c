"""Every command either writes in the project, with its lock in hand, or leaves the project as it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import flows.serve
from flows.cli.main import app
from tasks.config.project import HERE
from tasks.store import row_folder
from tests.conftest import tiny_generator
from tests.locks import held_by_another
from tests.plans import finish
from tests.project import ROBOT, SKETCH, Project, project
from tests.records import publish_made

__all__ = ["project"]

WRITERS = (
    "prepare",
    "run",
    "run --prune",
    "run --settle",
    "run --only robot",
    "report",
    "pretrained",
    "inputs",
    "plan --measure",
    "pick sketch --judge",
)
READERS = (
    *("plan", "plan --no-preflight", "complete", "status", "status --json", "serve", "verify robot", "compare now"),
    *(
        "sample source",
        "strip source",
        "mix sketch:0.5 --weights mixed.safetensors",
        "video source --seconds 0.3 --fps 10 --keys 3 --out walk.gif",
    ),
    *("invert absent.jpg", "apply absent.npz", "gallery --count 1", "app --host 192.0.2.1"),  # an address of nobody
    *("doctor", "bench --only nothing"),
    *("weights list", "weights fetch no-such", "weights inspect world/generator.safetensors --picture a.png"),
    *("weights convert world/generator.safetensors a.pkl", "weights export sketch", "weights export --all exported"),
)
OTHERS = ("init", "add", "pause", "resume")
"""What begins a project, and what is said to a night that runs; with tests of their own."""
CACHES = {".whole.json", ".references.json", ".cache", "generator.safetensors", "origin.json", ".night.lock"}
"""What planning keeps for later: each of these is written whole, and may be removed or written twice."""
MADE = {"source.png", "strip.png", "mix.png", "mixed.safetensors", "walk.gif", "a.png", "a.pkl", "exported", "site"}
"""What the commands were asked for."""
BUSY = "weights/.night.lock: another night runs here (process 4711); wait for it\n"


def commands(command: Any, name: str = "") -> Iterator[str]:
    """Every command that can be typed."""
    for word, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{name} {word}".strip())
    if not hasattr(command, "commands"):
        yield name


@pytest.mark.parametrize("name", [*commands(typer.main.get_command(app))])
def test_of_every_command_it_is_known_whether_it_writes(name: str) -> None:
    """A new one belongs into one of the lists above."""
    assert any(f"{line} ".startswith(f"{name} ") for line in (*WRITERS, *READERS, *OTHERS))


def content(folder: Path) -> dict[str, bytes]:
    """The project's files, without the world that it is made from, and without what may be written at any time."""
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {
        str(path): (folder / path).read_bytes()
        for path in files
        if path.parts[0] != "world" and not ({*path.parts} & (CACHES | MADE) and "adapted" not in path.parts)
    }


@pytest.fixture
def night(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a finished row, one to be made, one that left the CSV, and a saved state of it."""
    project.prompts(SKETCH, ROBOT)
    finish("sketch")
    publish_made("left", tiny_generator(1))
    HERE.unfinished.mkdir(parents=True)
    row_folder.state_path("left").write_bytes(b"hours of training")
    HERE.base_models.mkdir()
    (HERE.base_models / f"{'0' * 64}.safetensors").write_bytes(b"of a first night's row in the making")
    monkeypatch.setattr(flows.serve, "serve", lambda *_: None)
    return project


@pytest.mark.parametrize("line", WRITERS)
def test_who_writes_waits_for_the_night_that_runs(night: Project, line: str) -> None:
    before = content(night.folder)
    with held_by_another():
        outcome = night.nada(*line.split())
    assert (outcome.status, outcome.err) == (2, BUSY)
    assert content(night.folder) == before


@pytest.mark.parametrize("line", READERS)
def test_who_reads_changes_nothing_and_needs_no_lock(night: Project, line: str) -> None:
    before = content(night.folder)
    with held_by_another():
        outcome = night.nada(*line.split())
    assert "process 4711" not in outcome.out + outcome.err
    assert content(night.folder) == before


def test_a_plan_changes_nothing_that_the_rows_of_a_night_start_from(night: Project) -> None:
    before = (HERE.pretrained / "generator.safetensors").read_bytes()
    (night.folder / "world" / "generator.safetensors").write_bytes(
        (HERE.adapted / "left" / "generator.safetensors").read_bytes()
    )
    with held_by_another():
        outcome = night.nada("plan")
    refusal = "weights/pretrained/generator.safetensors: a night runs here; wait for it\n"
    assert (outcome.status, outcome.err) == (2, refusal)
    assert (HERE.pretrained / "generator.safetensors").read_bytes() == before
    assert night.nada("plan", "--no-preflight").status == 0
    assert (HERE.pretrained / "generator.safetensors").read_bytes() != before


def test_plans_that_are_made_at_once_get_in_nobodys_way(project: Project) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "flows.cli", "plan", "--no-preflight"]
    plans = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    ends = [plan.communicate() for plan in plans]
    assert [(plan.returncode, err) for plan, (_, err) in zip(plans, ends, strict=True)] == [(0, "")] * 3
    assert len({re.sub(r"\(\d+ .B free\)", "", out) for out, _ in ends}) == 1  # others fill the disk meanwhile
    assert not list(project.folder.rglob("*.partial"))
    assert "2 to train" in project.nada("plan", "--no-preflight").out
