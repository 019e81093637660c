"""The sheet for a person who has not seen the rows' names, and its key."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from tests.conftest import tiny_generator
from tests.project import Project, project
from tests.records import publish_made

__all__ = ["project"]

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "blind.py"
DOMAINS = ["sepia", "neon", "black-and-white", "stained-glass"]


@pytest.fixture(scope="module")
def blind() -> ModuleType:
    spec = importlib.util.spec_from_file_location("blind", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = sys.modules["blind"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sixteen_choices_hold_every_row_and_no_name_twice(blind: ModuleType) -> None:
    for seed in range(20):
        quiz = blind.Quiz.draw(DOMAINS, seed)
        assert sorted(quiz.order) == sorted(DOMAINS)
        assert len(quiz.choices) == len(set(quiz.choices)) == 16
        assert {"sepia", "neon", "black and white", "stained glass"} < set(quiz.choices)


def test_a_decoy_that_is_a_rows_other_name_is_left_out(blind: ModuleType) -> None:
    for seed in range(20):
        choices = blind.Quiz.draw(["charcoal-drawing", "night_vision"], seed).choices
        assert {"charcoal drawing", "night vision"} < set(choices)
        assert not {"charcoal", "night"} & set(choices)


def test_a_seed_decides_both_orders(blind: ModuleType) -> None:
    quiz = blind.Quiz.draw(DOMAINS, 1)
    assert quiz == blind.Quiz.draw(DOMAINS[::-1], 1)
    others = [blind.Quiz.draw(DOMAINS, seed) for seed in range(2, 8)]
    assert any(other.order != quiz.order for other in others)
    assert any(other.choices != quiz.choices for other in others)
    places = {tuple(quiz.choices.index(name) for name in map(blind.name_of, quiz.order)) for quiz in others}
    assert len(places) > 1  # choices do not tell the order of the rows


@pytest.mark.parametrize("count", [0, 17])
def test_none_and_more_than_choices_are_refused(blind: ModuleType, count: int) -> None:
    with pytest.raises(ValueError, match=rf"^{count} domains; expected 1 to 16"):
        blind.Quiz.draw([f"domain-{number}" for number in range(count)], 0)


def test_sixteen_rows_leave_no_decoy(blind: ModuleType) -> None:
    domains = [f"domain-{number}" for number in range(16)]
    assert sorted(blind.Quiz.draw(domains, 0).choices) == sorted(map(blind.name_of, domains))


def test_the_sheet_shows_the_rows_in_the_keys_order_and_tells_no_name(
    blind: ModuleType, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, domain in enumerate(DOMAINS):
        publish_made(domain, tiny_generator(index + 1))
    monkeypatch.setattr(sys, "argv", ["blind.py", "--num", "3", "--seed", "4"])
    blind.main()
    key = json.loads(Path("BLIND.json").read_text())
    assert set(key["rows"].values()) == set(map(blind.name_of, DOMAINS)) and len(key["choices"]) == 16
    with Image.open("BLIND.png") as sheet:
        sheet.load()
    assert not sheet.info
    height = len(DOMAINS) * (16 + 2) - 2
    left = next(x for x in range(sheet.width) if sheet.getpixel((x, 0)) != (255, 255, 255))
    for number, name in key["rows"].items():
        project.nada("sample", name.replace(" ", "-"), "--count", "3", "--seed", "4", "--out", "row.png")
        with Image.open("row.png") as row:
            first = row.crop((0, 0, 16, 16))
        top = (int(number) - 1) * (16 + 2)
        assert sheet.crop((left, top, left + 16, top + 16)).tobytes() == first.tobytes(), name
    assert sheet.height == height + 5 * blind.LINE_PX
