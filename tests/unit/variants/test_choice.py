"""Which row is the domain: the best verdict, then the furthest along the text; or what was picked."""

from __future__ import annotations

from tasks.store.record import Record
from tasks.variants.choice import choose, mean_and_spread
from tasks.variants.picks import Pick
from tests.records import make_record

TARGET = "a pencil sketch"


def record(name: str, follows: float, kept: float = 0.9) -> Record:
    scores = {"structure_ratio": kept, "directional_similarity": follows}
    return make_record(name, TARGET, scores, nearest={TARGET: 16})


def records(**follows: float) -> dict[str, Record]:
    return {f"a_{name}": record(f"a_{name}", value) for name, value in follows.items()}


def test_the_one_that_follows_the_text_furthest_is_taken_and_the_first_of_equals() -> None:
    choice = choose("a", records(x=0.5, y=0.7, z=0.7), None, 3)
    assert (choice.name, choice.is_picked) == ("a_y", False)
    assert choice.why == "the judge's best of 3: y, unproven, direction 0.70"


def test_an_only_row_has_no_name_of_its_own() -> None:
    assert choose("a", {"a": record("a", 0.5)}, None, 1).why == "the judge's best of 1: unproven, direction 0.50"


def test_a_collapsed_one_is_not_the_best_however_far_it_went() -> None:
    found = {**records(x=0.5), "a_y": record("a_y", 0.9, kept=0.1)}
    assert choose("a", found, None, 2).name == "a_x"


def test_a_pick_is_taken_and_the_judges_best_is_told() -> None:
    choice = choose("a", records(x=0.5, y=0.7), Pick("a", "x"), 2)
    assert (choice.name, choice.is_picked) == ("a_x", True)
    assert choice.why == "picked by hand; the judge's best is y, unproven, direction 0.70"


def test_a_pick_that_is_not_finished_waits() -> None:
    choice = choose("a", records(x=0.5), Pick("a", "y"), 2)
    assert (choice.name, choice.is_picked) == ("a_x", False)
    assert choice.why.endswith("; 1 unfinished; y was picked and is not finished")


def test_until_a_picked_checkpoint_is_judged_its_variant_is_taken() -> None:
    choice = choose("a", records(x=0.5, y=0.7), Pick("a", "x", 40), 3)
    assert (choice.name, choice.is_picked) == ("a_x", True)
    assert choice.why.endswith("; x_40 was picked and is not finished")


def test_a_checkpoint_is_taken_when_picked_and_never_by_the_judge() -> None:
    found = {**records(x=0.5), "a_x_40": record("a_x_40", 0.9)}
    assert choose("a", found, Pick("a", "x", 40), 2).name == "a_x_40"
    assert choose("a", found, None, 2).name == "a_x"


def test_spread_is_the_standard_deviation_of_the_sample() -> None:
    assert mean_and_spread([0.2, 0.4]) == (0.30000000000000004, 0.1414213562373095)
    assert mean_and_spread([0.2]) == (0.2, 0.0)
