"""A project that knows the tests' own method: its line in the registry, its section, and two recipes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from nada.checkpoints.canonical import save_generator
from nada.methods.registry import METHODS
from tasks.plan.plan import Plan
from tasks.plan.planning import make_plan
from tasks.row.make import make_rows
from tasks.workers.news import RowEnded
from tests import project
from tests.conftest import tiny_generator

SHIFT = "tests.methods.shift.method:Shift"
SECTIONS = """\
shift:
  iterations: 5
recipes:
  far:
    method: shift
    learning_rate: 0.2
  wild:                       # the second step's latents overflow
    method: shift
    learning_rate: 1.0e+30
"""
HEADER = "domain,source,target,method,recipe,on,generator,seed,reference_images"
OTHER = "world/other.safetensors"
"""A second pretrained generator."""


def register(patch: pytest.MonkeyPatch) -> None:
    """The one line."""
    patch.setitem(METHODS, "shift", SHIFT)


def make_shift_project(folder: Path, world: Path) -> None:
    """Fill a folder with such a project; `write_prompts` writes its rows."""
    project.make_project(folder, world)
    save_generator(folder / OTHER, tiny_generator(seed=7))
    (folder / "params.yaml").write_text(project.PARAMS.replace("recipes:\n", SECTIONS))


def write_prompts(*rows: str) -> None:
    """Write prompts.csv."""
    project.write_prompts(Path(), *rows, header=HEADER)


def make_here(*domains: str) -> Plan:
    """Make rows in this process, one after the other, and judge none; returns the plan."""
    plan = make_plan(Path("params.yaml"))
    for domain in domains:
        news: list[Any] = []
        make_rows(plan.group_job([plan.by_domain[domain]]), news.append)
        assert isinstance(news[-1], RowEnded) and news[-1].error is None, news[-1]
    return plan


def change(old: str, new: str) -> None:
    """One place of params.yaml."""
    path = Path("params.yaml")
    text = path.read_text()
    assert text.count(old) == 1, text
    path.write_text(text.replace(old, new))


@contextmanager
def one_thread() -> Iterator[None]:
    """As a worker has; with more, tiny pictures take long on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def shift_project(tmp_path: Path, tiny_world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh project as the working folder."""
    register(monkeypatch)
    make_shift_project(tmp_path, tiny_world)
    monkeypatch.chdir(tmp_path)
    with one_thread():
        yield tmp_path
