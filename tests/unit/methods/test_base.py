"""What a method gets for nothing, and that the page about methods tells of all that it has to say."""

from __future__ import annotations

import subprocess
import sys
from inspect import get_annotations, isfunction
from pathlib import Path

import pytest
from pydantic import ValidationError

from nada.clip.goal import PromptPair
from nada.methods.base import Assignment, Method, Pass, RecordPart
from nada.methods.registry import METHODS
from tests.methods.dream import Dream, DreamConfig
from tests.methods.project import SHIFT
from tests.methods.shift.config import ShiftConfig
from tests.methods.shift.method import Shift

ROOT = Path(__file__).parents[3]
CONFIG = DreamConfig(depth=3)


def assignment(seed: int = 0, batch_size: int = 2) -> Assignment[ShiftConfig]:
    config, goal = ShiftConfig(batch_size=batch_size), PromptPair("photo", "sketch")
    return Assignment(row="sketch", goal=goal, config=config, seed=seed, storage="delta")


def test_a_row_rides_alone_unless_its_method_says_otherwise() -> None:
    given: Assignment[DreamConfig] = Assignment(
        row="sketch", goal=PromptPair("photo", "sketch"), config=CONFIG, seed=0, storage="delta"
    )
    assert (Dream().num_together(CONFIG), Dream().group(given)) == (1, "sketch")
    groups = {Shift().group(assignment()), Shift().group(assignment(seed=1)), Shift().group(assignment(batch_size=3))}
    assert len(groups) == 3


def test_it_leaves_no_generator_and_needs_none_unless_it_says_so() -> None:
    assert (Shift.weights_name, Shift.needs_generator) == (None, False)


def test_a_row_may_name_its_iterations_where_its_method_has_some() -> None:
    assert Shift().with_steps(ShiftConfig(batch_size=3), 7) == ShiftConfig(batch_size=3, iterations=7)
    with pytest.raises(ValidationError):
        Shift().with_steps(ShiftConfig(), 0)
    with pytest.raises(ValidationError):
        Dream().with_steps(CONFIG, 7)


@pytest.mark.parametrize(("at_once", "pictures"), [(None, 4 * 3), (8, 8), (100, 4 * 3)])
def test_memory_is_foreseen_for_as_many_rows_as_may_ride_together(at_once: int | None, pictures: int) -> None:
    config = ShiftConfig(batch_size=3)
    assert Shift().graph_bytes(config, None, 1000, at_once) == 1000 * pictures  # type: ignore[arg-type]


def test_its_settings_are_told_as_they_stand_and_it_gives_no_advice() -> None:
    method = Dream()
    assert method.settings_in_words(CONFIG) == "depth 3"
    assert method.facts(RecordPart()) == {}
    assert method.advice("too much", CONFIG) == []


def test_describing_a_method_loads_no_torch() -> None:
    places = [*METHODS.values(), SHIFT]
    program = f"import sys; from nada.methods.registry import load_method; [load_method(place) for place in {places}]"
    program += "; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize("interface", [Method, Pass])
def test_the_page_about_methods_tells_of_every_member(interface: type) -> None:
    page = (ROOT / "docs" / "adding-a-method.md").read_text(encoding="utf-8")
    members = {name for name, value in vars(interface).items() if isfunction(value)}
    members |= {name for name in get_annotations(interface) if not name.startswith("_")}
    assert {name for name in members if f"`{name}`" not in page} == set()
    assert len(members) > 4
