"""A guide is asked about each text once, and again whenever the kept answer cannot be trusted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from nada.clip import loading
from nada.clip.guide import Guide
from nada.clip.model import ClipModel
from tasks.caches import text_cache
from tasks.caches.text_cache import KnownTexts
from tasks.config.project import HERE
from tasks.plan.planning import make_plan
from tasks.plan.prompt_warnings import prompt_warnings
from tests.project import ROBOT, SKETCH, Project, project
from tests.rows import publish_whole

__all__ = ["project"]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that reached a model; the cache is an empty folder."""
    texts: list[str] = []
    original = ClipModel.embed_texts

    def embed(model: ClipModel, new: list[str]) -> torch.Tensor:
        texts.extend(new)
        return original(model, new)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ClipModel, "embed_texts", embed)
    return texts


Ask = Callable[..., torch.Tensor]


@pytest.fixture
def ask(tiny_guide: Guide) -> Ask:
    """What a plan gets for some texts, and keeps."""

    def embed(*texts: str, identity: str = "0" * 64) -> torch.Tensor:
        known = KnownTexts(identity, lambda: tiny_guide.models[0])
        emb = known.embed_texts(list(texts))
        known.keep()
        return emb

    return embed


def test_a_plan_asks_about_new_texts_alone(ask: Ask, asked: list[str]) -> None:
    first = ask("a sketch", "a robot")
    again = ask("a robot", "a star", "a sketch")
    assert asked == ["a sketch", "a robot", "a star"]
    assert torch.equal(again[[2, 0]], first)


def test_texts_of_the_plan_before_the_last_are_still_known(ask: Ask, asked: list[str]) -> None:
    ask("a sketch", "a robot")
    ask("a star")
    ask("a robot")
    assert asked == ["a sketch", "a robot", "a star"]


def test_the_oldest_texts_make_room(ask: Ask, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_cache, "MAX_TEXTS", 2)
    for text in ("a sketch", "a robot", "a star", "a robot", "a sketch"):
        ask(text)
    assert asked == ["a sketch", "a robot", "a star", "a sketch"]


def test_other_weights_are_asked_anew(ask: Ask, asked: list[str]) -> None:
    ask("a sketch")
    ask("a sketch", identity="1" * 64)
    assert asked == ["a sketch"] * 2


@pytest.mark.parametrize("damage", ["cut", "empty", "numbers", "texts", "short"])
def test_damaged_texts_are_asked_about_again_and_mended(ask: Ask, asked: list[str], damage: str) -> None:
    true = ask("a sketch", "a robot")
    (path,) = HERE.text_cache.iterdir()
    if damage in ("cut", "empty"):
        path.write_bytes(path.read_bytes()[: 100 if damage == "cut" else 0])
    elif damage == "texts":
        path.write_bytes(path.read_bytes().replace(b"a robot", b"a rabot"))
    else:
        with safe_open(path, framework="pt") as file:
            emb, header = file.get_tensor("emb"), file.metadata()
        save_file({"emb": emb + 1 if damage == "numbers" else emb[:1].clone()}, path, header)
    assert torch.equal(ask("a sketch", "a robot"), true)
    assert torch.equal(ask("a sketch", "a robot"), true)
    assert asked == ["a sketch", "a robot"] * 2


def test_a_folder_that_cannot_be_written_costs_only_time(ask: Ask, asked: list[str]) -> None:
    HERE.text_cache.parent.mkdir()
    HERE.text_cache.write_bytes(b"a file where the folder would be")
    assert torch.equal(ask("a sketch"), ask("a sketch"))
    assert asked == ["a sketch"] * 2


def test_a_second_preflight_loads_no_guide_and_says_the_same(
    project: Project, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.prompts(SKETCH, ROBOT, "twin,portrait,Pencil  sketch,style,")
    plan = make_plan(Path("params.yaml"))
    rows = [planned.row for planned in plan.to_train]
    first = prompt_warnings(rows, plan.params)
    assert first and len(asked) == len(set(asked))
    asked.clear()
    monkeypatch.setattr(loading, "load_clip", None)
    assert prompt_warnings(rows, plan.params) == first
    assert asked == []


def test_a_preflight_imports_open_clip_only_for_a_guide() -> None:
    code = "import sys, nada.clip.prompt_checks, tasks.caches.text_cache; sys.exit('open_clip' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rows_that_are_kept_are_not_asked_about(project: Project, asked: list[str]) -> None:
    project.prompts(SKETCH, ROBOT)
    publish_whole("sketch", make_plan(Path("params.yaml")).by_domain["sketch"].keys)
    assert project.nada("plan").status == 0
    assert any("robot" in text for text in asked) and not any("sketch" in text for text in asked)
