"""Each verdict from the figures that prove it."""

from __future__ import annotations

from typing import Any

import pytest

from nada.methods.adapt.config import AdaptConfig
from tasks.report.triage import triage
from tasks.store.record import Record
from tests.records import make_record, make_score

JUDGED_TRUE = {
    "frechet_to_reference": 0.1,
    "frechet_source_to_reference": 1.0,
    "precision_to_reference": 0.4,
    "coverage_to_reference": 0.3,
    "colour_frechet_to_reference": 0.5,
    "colour_frechet_source_to_reference": 5.0,
    "efficientnet_frechet_to_reference": 1.5,
    "efficientnet_frechet_source_to_reference": 5.0,
}
"""Of a row that looks like its reference pictures to the judge and to the second opinion."""


def record(
    nearest: dict[str, int] | None = None,
    kept: float = 0.9,
    follows: float = 0.6,
    width: float = 0.1,
    truth: dict[str, Any] | None = None,
    **adapt: Any,
) -> Record:
    return make_record(
        target="sketch",
        scores={
            "structure_ratio": kept,
            "directional_similarity": follows,
            **(JUDGED_TRUE if truth is None else truth),
        },
        width=width,
        nearest=nearest or {"sketch": 90, "a portrait": 5, "robot": 5},
        config=AdaptConfig.model_validate({"iterations": 150, "train": "convs+rgb", **adapt}),
    )


def test_a_domain_that_is_found_and_varied_is_good_and_needs_no_advice() -> None:
    found = triage(record())
    assert (found.kind, found.advice) == ("good", "")
    assert (
        found.evidence == "90% find their prompt, 90% of the variety kept, 10% of the distance to the true images left"
    )


def test_without_reference_pictures_a_row_is_unproven_however_content_the_judge() -> None:
    found = triage(record(truth={}))
    assert (found.kind, found.evidence) == ("unproven", "90% find their prompt, 90% of the variety kept")
    assert found.advice.startswith("look at it, or name reference_images, some 50 pictures of what it should be")


def test_without_a_network_that_no_text_has_formed_a_row_is_unproven() -> None:
    without = {name: value for name, value in JUDGED_TRUE.items() if not name.startswith("efficientnet_")}
    found = triage(record(truth=without))
    assert found.kind == "unproven"
    assert "set judge.efficientnet to web" in found.advice


def test_the_second_opinion_overrules_the_judge() -> None:
    found = triage(record(truth={**JUDGED_TRUE, "efficientnet_frechet_to_reference": 6.0}))
    assert found.kind == "weak"
    assert found.evidence.startswith("120% of the way to its true textures left; 90% find their prompt")
    assert found.advice.startswith("try iterations 75 (now 150)")
    short = triage(
        record(truth={**JUDGED_TRUE, "efficientnet_frechet_to_reference": 3.0, "colour_frechet_to_reference": 2.0})
    )
    assert short.evidence.startswith(
        "40% of the way to its true colours and 60% of the way to its true textures left; "
    )
    assert short.kind == "weak" and short.advice.startswith("try iterations 300 (now 150)")


def test_of_a_small_edit_a_little_noise_is_no_failure() -> None:
    small = {"colour_frechet_source_to_reference": 0.4, "efficientnet_frechet_source_to_reference": 1.2}
    near = {"colour_frechet_to_reference": 0.25, "efficientnet_frechet_to_reference": 1.1}
    assert triage(record(truth={**JUDGED_TRUE, **small, **near})).kind == "good"


def test_a_row_of_which_no_picture_lies_among_the_references_is_not_good() -> None:
    found = triage(record(truth={**JUDGED_TRUE, "precision_to_reference": 0.0, "coverage_to_reference": 0.01}))
    assert found.kind == "weak"
    assert found.evidence.startswith("none of its pictures lies among its true images; 90% find")


def test_a_domain_that_every_picture_finds_has_no_rival() -> None:
    assert triage(record({"sketch": 100})).kind == "good"


def test_a_domain_without_variety_is_collapsed_however_well_it_is_found() -> None:
    found = triage(record({"sketch": 100, "a portrait": 0}, kept=0.1))
    assert found.kind == "collapsed"
    assert found.evidence == "keeps 10% of the source's variety (at most 20%)"
    assert found.advice == "try iterations 75 (now 150), or a recipe with selection.k: auto"


def test_variety_that_may_be_there_is_no_collapse() -> None:
    assert triage(record(kept=0.45, width=0.1)).kind == "good"


@pytest.mark.parametrize("nearest", [{"sketch": 20, "a portrait": 70, "robot": 10}])
def test_a_domain_taken_for_its_source_is_weak(nearest: dict[str, int]) -> None:
    found = triage(record(nearest, train="rgb"))
    assert (found.kind, found.evidence) == ("weak", "20% find their prompt; 70% are taken for 'a portrait'")
    assert found.advice == "try iterations 300 (now 150), or a recipe that trains convolutions as well, such as style"


def test_a_domain_that_does_not_follow_the_text_is_weak_even_if_found() -> None:
    found = triage(record(follows=-0.05, width=0.02, selection={"k": 3}))
    assert found.kind == "weak"
    assert found.advice == "try iterations 300 (now 150), or a recipe with selection.k: all"


def test_a_domain_taken_for_another_is_off_target_and_names_it() -> None:
    found = triage(record({"sketch": 40, "a portrait": 5, "robot": 55}))
    assert (found.kind, found.evidence) == ("off-target", "40% find their prompt; 55% are taken for 'robot'")
    assert "sets it apart from 'robot'" in found.advice
    assert found.advice.endswith(", or iterations 300 (now 150)")


def test_the_global_loss_is_named_where_it_may_have_caused_a_collapse() -> None:
    assert "a smaller global_weight" in triage(record(kept=0.1, global_weight=1.0)).advice


def test_a_domain_that_is_surely_further_from_the_truth_than_its_source_is_off_target_even_if_found() -> None:
    before = {**JUDGED_TRUE, "frechet_source_to_reference": make_score(1.0, 0.1)}
    found = triage(record({"sketch": 100}, truth={**before, "frechet_to_reference": make_score(1.5, 0.3)}))
    assert found.kind == "off-target"
    assert found.advice == "try a target text that fits the true images better, or iterations 75 (now 150)"
    assert found.evidence == "further from its true images than the unadapted source (1.500, from 1.000)"
    near = triage(record({"sketch": 100}, truth={**before, "frechet_to_reference": make_score(0.4, 0.1)}))
    assert near.kind == "good"
    assert near.evidence.endswith(", 40% of the distance to the true images left")


def shown(follows: float, target: str = "", **more: Any) -> Record:
    """A row that pictures lead."""
    scores = {**JUDGED_TRUE, "structure_ratio": 0.9, "style_similarity": follows, **more}
    return make_record(target=target, scores=scores, nearest={"robot": 60, "a portrait": 40}, config=AdaptConfig())


def test_a_domain_without_words_is_good_where_it_follows_its_pictures_whatever_prompt_it_finds() -> None:
    found, follows = triage(shown(0.7)), "its pictures follow the style pictures (direction 0.70)"
    assert (found.kind, found.advice) == ("good", "")
    assert found.evidence == f"{follows}, 90% of the variety kept, 10% of the distance to the true images left"
    assert triage(shown(0.7, efficientnet_frechet_to_reference=6.0)).kind == "weak"
    halfway = triage(shown(0.4))
    assert (halfway.kind, halfway.evidence) == ("weak", "its pictures follow the style pictures (direction 0.40)")
    hardly = triage(shown(0.01))
    assert hardly.evidence == "its pictures hardly follow the style pictures (direction 0.01)"
    away = triage(shown(0.7, frechet_to_reference=1.5))
    assert away.kind == "off-target"
    assert away.advice == "try style pictures that fit the true images better, or iterations 150 (now 300)"
    assert triage(shown(0.7, structure_ratio=0.1)).kind == "collapsed"


def test_a_name_beside_the_pictures_is_to_be_found() -> None:
    text = {"directional_similarity": 0.01}  # which led nowhere, and was not meant to
    assert triage(shown(0.7, target="robot", **text)).kind == "good"
    assert triage(shown(0.7, target="sketch", **text)).kind == "off-target"
