"""What costs more to find than to read is found again whenever the kept answer cannot be trusted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from tasks.caches.known_answers import keep_answers, read_answers
from tasks.config.project import HERE
from tasks.keys import code
from tasks.plan import prompt_warnings as warnings
from tasks.plan.planning import make_plan
from tasks.report import thumbnails
from tests.project import SKETCH, Project, project

__all__ = ["project"]

TEXT = "def half(x):\n    return x / 2\n"


def test_answers_come_back_and_others_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "answers.json"
    assert read_answers(path, "1") == {}
    keep_answers(path, "1", {"a": [1, None], "b": "two"}, ["a", "a", "unknown"])
    assert read_answers(path, "1") == {"a": [1, None]}
    assert read_answers(path, "2") == {}


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": "1", "known": []}', "\ud800", "\x00" * 9, "[" * 99_999]
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "answers.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    assert read_answers(tmp_path / "answers.json", "1") == {}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, whose sources nobody read."""
    monkeypatch.chdir(tmp_path)
    code._read_text.cache_clear()
    code._known.cache_clear()
    yield tmp_path  # type: ignore[misc]
    code._read_text.cache_clear()
    code._known.cache_clear()


def forget() -> None:
    """As another process."""
    code._read_text.cache_clear()
    code._known.cache_clear()
    code._code_hash.cache_clear()


def test_a_source_is_parsed_once_for_all_processes(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    first = code.code_hash(["nada.clip.losses"])
    assert HERE.code_cache.is_file()
    forget()
    monkeypatch.setattr(code, "read_source", None)
    assert code.code_hash(["nada.clip.losses"]) == first


@pytest.mark.parametrize("damage", [None, 7, [], ["x" * 64, [["nada"]]], [1]])
def test_a_damaged_digest_is_computed_again(elsewhere: Path, damage: object) -> None:
    sound = code._read_text(TEXT)
    code._read_text.cache_clear()
    code._known()[hashlib.sha256(TEXT.encode()).hexdigest()] = damage
    assert code._read_text(TEXT) == sound


@pytest.mark.parametrize(
    "damage", ["[7]", '[["x", null, "y"]]', '[[9, null, "y"]]', '[[0, -1, "y"]]', "{}", "not JSON"]
)
def test_a_damaged_finding_is_found_again(project: Project, damage: str) -> None:
    project.prompts(SKETCH, "twin,portrait,Pencil  sketch,style,")
    plan = make_plan(Path("params.yaml"))
    rows = [planned.row for planned in plan.to_train]
    first = warnings.prompt_warnings(rows, plan.params)
    (kept,) = HERE.text_cache.glob("*.json")
    key = next(iter(json.loads(kept.read_text())["known"]))
    kept.write_text(f'{{"version": "{warnings.FORMAT}", "known": {{"{key}": {damage}}}}}')
    assert first and warnings.prompt_warnings(rows, plan.params) == first


def test_other_prompts_are_other_findings(project: Project) -> None:
    project.prompts(SKETCH, "twin,portrait,Pencil  sketch,style,")
    plan = make_plan(Path("params.yaml"))
    rows = [planned.row for planned in plan.to_train]
    assert any("twin" in line for line in warnings.prompt_warnings(rows, plan.params))
    assert not any("twin" in line for line in warnings.prompt_warnings(rows[:1], plan.params))


def test_a_small_picture_is_encoded_once(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.linear_gradient("L").convert("RGB")
    first = thumbnails._webp(picture, 80)
    (kept,) = HERE.shown_cache.iterdir()
    assert kept.read_bytes() == first
    other = thumbnails._webp(picture.rotate(90), 80)
    assert other != first and thumbnails._webp(picture, 50) not in (first, other)
    kept.write_bytes(first[:-1])
    assert thumbnails._webp(picture, 80) == first == kept.read_bytes()
    monkeypatch.setattr(Image.Image, "save", None)
    assert thumbnails._webp(picture, 80) == first
