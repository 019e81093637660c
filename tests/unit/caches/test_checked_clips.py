"""The CLIPs of a night are held against their names before it is planned; what was sound is not read again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from nada.clip import loading
from nada.errors import CheckpointError
from tasks.config.project import HERE
from tests.conftest import write_tiny_clip
from tests.plans import change, finish, plan
from tests.project import Project, project

__all__ = ["project"]

JUDGE = Path("world/tiny-judge.safetensors")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the CLIPs that are loaded."""
    names: list[str] = []
    load_clip = loading.load_clip

    def counted(config: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(config.name)
        return load_clip(config, *args, **kwargs)

    monkeypatch.setattr(loading, "load_clip", counted)
    return names


def test_each_file_is_read_once(project: Project, loaded: list[str]) -> None:
    plan()
    plan()
    assert loaded == ["tiny-guide", "tiny-judge"]
    write_tiny_clip(JUDGE.parent, "tiny-judge", seed=9)
    plan()
    assert loaded == ["tiny-guide", "tiny-judge", "tiny-judge"]


def test_a_judge_that_is_another_clip_is_refused_each_time(project: Project) -> None:
    tensors = load_file(JUDGE)
    del tensors["logit_scale"]
    save_file(tensors, JUDGE)
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"not weights of tiny-judge; tensors: 1 missing \(logit_scale\)"):
            plan()


def test_a_finished_project_reads_no_clip(project: Project, loaded: list[str]) -> None:
    finish()
    shutil.rmtree(HERE.clip_cache)
    loaded.clear()
    plan()
    assert loaded == []


def test_a_statement_of_the_activation_changes_no_key(project: Project) -> None:
    before = [planned.keys for planned in plan().rows]
    change("weights: world/tiny-judge.safetensors", "weights: world/tiny-judge.safetensors\n    activation: gelu")
    assert [planned.keys for planned in plan().rows] == before
