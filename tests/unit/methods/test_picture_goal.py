"""A goal that pictures show: its directions worked by hand, and its row through a real pass."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.errors import GuideError, ParamsError
from nada.images import to_u8
from nada.methods import picture_goal
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.objective.textures import textures_of
from nada.methods.adapt.trace import TrainingStep
from nada.methods.picture_goal import PictureGoal, embed
from tasks.config.project import HERE
from tasks.keys.inputs import reference_hash
from tasks.report.page import Night, write_report
from tasks.row.evaluate import evaluate_row
from tasks.row.job import EvaluateJob, RowJob
from tasks.row.models import warm_models
from tasks.store import row_folder
from tasks.store.record import NUM_STYLE, STYLE, STYLE_NAME
from tests.conftest import tiny_generator
from tests.jobs import end_at, interrupt, job, make_alone, make_well, with_config  # noqa: F401

__all__ = ["job"]

PAIR = PromptPair("portrait", "sketch")
RED, GREEN, BLUE = torch.eye(3)
STYLE_PATH = "style"


class ColourEye:
    """A picture's embedding is its mean colour; the text's edit is green, and its target blue."""

    name = "colours"
    text_edit, text_place = GREEN, BLUE

    def embed_images(self, img: Tensor) -> Tensor:
        return torch.nn.functional.normalize((img.mean(dim=(2, 3)) + 1) / 2, dim=1)

    def class_embedding(self, prompt: str) -> Tensor:
        return self.text_place

    def text_direction(self, source: str, target: str) -> Tensor:
        return self.text_edit


class Keeping:
    """As `Models` does."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def keep(self, key: Any, make: Any) -> Any:
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]


def pictures(*colours: Tensor) -> Tensor:
    """One plain picture each, [K, 3, 4, 4] bytes."""
    return to_u8(torch.stack([2 * colour - 1 for colour in colours])[:, :, None, None].expand(-1, -1, 4, 4))


def goal_of(img_u8: Tensor, share: float = 1.0) -> PictureGoal:
    return PictureGoal(img_u8, PAIR, share, tiny_generator())


@pytest.fixture
def red_source(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The generator draws red; how many of its pictures were rendered each time."""
    rendered: list[int] = []

    def render(domain: Any, ws: Tensor, batch_size: int) -> list[Tensor]:
        rendered.append(len(ws))
        return [pictures(*[RED] * len(ws))]

    monkeypatch.setattr(picture_goal, "render", render)
    return rendered


def test_the_direction_leads_from_the_mean_of_the_source_to_that_of_the_pictures(red_source: list[int]) -> None:
    goal = goal_of(pictures(BLUE, GREEN))
    # The mean of two unit embeddings is [0, .5, .5]; from [1, 0, 0] that is [-1, .5, .5], of length sqrt(1.5).
    expected = torch.tensor([-1.0, 0.5, 0.5]) / 1.5**0.5
    assert goal.direction(ColourEye()) == pytest.approx(expected, abs=1e-6)
    assert goal.place(ColourEye()) == pytest.approx((GREEN + BLUE) / 2**0.5, abs=1e-6)


def test_embeddings_are_of_unit_norm_before_their_mean_and_not_after(red_source: list[int]) -> None:
    dark_and_bright = pictures(0.2 * BLUE, BLUE)
    assert embed(ColourEye(), dark_and_bright, "cpu").mean(dim=0) == pytest.approx(BLUE, abs=1e-6)
    assert embed(ColourEye(), pictures(BLUE, RED), "cpu").mean(dim=0).norm() == pytest.approx(0.5**0.5)


def test_a_share_of_the_text_turns_the_direction_and_the_place(red_source: list[int]) -> None:
    guide = Guide([ColourEye()], [1.0])  # type: ignore[list-item]
    alone, (half, place) = goal_of(pictures(BLUE)), goal_of(pictures(BLUE), 0.5).seen_by(ColourEye())
    shown = (BLUE - RED) / 2**0.5
    assert alone.directions(guide)[0] == pytest.approx(shown, abs=1e-6)
    assert half == pytest.approx((shown + GREEN) / (shown + GREEN).norm(), abs=1e-6)
    assert place == pytest.approx(BLUE, abs=1e-6)
    assert alone.seen_by(ColourEye())[0] == pytest.approx(shown, abs=1e-6)


def test_the_source_is_looked_at_once_for_all_rows_of_it(red_source: list[int]) -> None:
    models, eye, source = Keeping(), ColourEye(), tiny_generator()
    for colours in ((BLUE,), (GREEN, BLUE)):
        goal = PictureGoal(pictures(*colours), PAIR, 1.0, source, models.keep)
        goal.direction(eye), goal.place(eye)
    assert red_source == [16]
    PictureGoal(pictures(BLUE), PAIR, 1.0, tiny_generator(7), models.keep).direction(eye)
    assert red_source == [16, 16]


def test_pictures_of_what_the_source_draws_have_no_direction(red_source: list[int]) -> None:
    with pytest.raises(GuideError, match=r"^colours: the style pictures are what the generator draws; choose others$"):
        goal_of(pictures(RED, RED)).direction(ColourEye())


def test_a_hundred_large_pictures_leave_a_small_strip() -> None:
    strip = goal_of(torch.randint(0, 256, (100, 3, 128, 128), dtype=torch.uint8)).strip()
    assert strip.size == (10 * 66 - 2, 64)


@pytest.fixture
def styled(job: RowJob) -> RowJob:
    """The row with three pictures in place of its text."""
    Path(STYLE_PATH).mkdir()
    for index in range(3):
        Image.new("RGB", (20, 16), (200, 60 + index, 30)).save(Path(STYLE_PATH, f"{index}.png"))
    row = replace(job.row, target="", style_images=STYLE_PATH)
    return replace(job, row=row, provenance={STYLE: reference_hash(STYLE_PATH), NUM_STYLE: "3"}, targets={"a": "neon"})


def evaluate(job: RowJob) -> None:
    evaluate_row(EvaluateJob(row=job, folder=str(HERE.adapted / "sketch"), device="cpu", threads=1), lambda _: None)


def test_a_row_without_words_is_made_and_judged_by_its_pictures(styled: RowJob) -> None:
    making = make_well(styled)
    assert making.row.style_images == STYLE_PATH and STYLE_NAME in making.files
    assert making.pictures == {STYLE_NAME: "The pictures that it learned from, 3 in all: the first of them."}
    evaluate(styled)
    record = row_folder.read_record("sketch")
    assert record.scores["style_similarity"].reference.startswith("direction to 3 style pictures, ")
    of_text = {"directional_similarity", "clip_similarity_target", "retrieval_accuracy"}
    assert not of_text & record.scores.keys() and "clip_similarity_source" in record.scores
    assert set(record.nearest) <= {"neon", "photo"} and sum(record.nearest.values()) == 6
    night = Night(name="Night", started="2026-01-01T00:00:00", seconds=1, workers="")
    html = write_report([record], night, Path("index.html")).read_text()
    assert "<b>photo</b> &rarr; <b>pictures of style</b>" in html
    assert "<figcaption>The pictures that it learned from, 3 in all: the first of them.</figcaption>" in html


def test_other_pictures_make_other_weights_and_a_text_beside_them_others_again(styled: RowJob) -> None:
    def weights(one: RowJob) -> str:
        return make_well(one).files["generator.safetensors"].sha256

    named = replace(styled, row=replace(styled.row, target="robot"))
    alone, again, with_name = weights(styled), weights(styled), weights(named)
    assert alone == again == with_name
    assert weights(with_config(named, style_weight=0.5)) != alone
    assert weights(replace(styled, row=replace(styled.row, style_images=None, target="robot"))) != alone
    Image.new("RGB", (16, 16), (0, 60, 200)).save(Path(STYLE_PATH, "1.png"))
    assert weights(replace(styled, provenance={**styled.provenance, STYLE: reference_hash(STYLE_PATH)})) != alone


def test_the_judge_that_looks_on_measures_the_way_to_the_pictures(
    styled: RowJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    choosing = with_config(styled, stop="auto", probe_every=2, probe_images=4)
    warm = warm_models(choosing)
    goal = warm.goal(choosing)
    direction, place = goal.seen_by(warm.models.clips.judge)
    monkeypatch.setattr(warm.models.clips.judge, "text_direction", lambda *_: pytest.fail("it asked for a text"))
    make_well(choosing)
    assert direction.norm() == pytest.approx(1) and place.norm() == pytest.approx(1)
    assert (HERE.adapted / "sketch" / "probes.csv").read_text().count("\n") == 4


def test_a_row_of_pictures_goes_on_to_the_same_bytes(styled: RowJob) -> None:
    whole = make_well(styled).weights
    interrupt(styled, step=3)
    resumed, notes = make_alone(styled)
    assert notes == ["goes on after step 2 of 5"]
    assert resumed.result.weights == whole


def test_pictures_that_changed_since_the_night_was_planned_are_refused(styled: RowJob) -> None:
    Path(STYLE_PATH, "2.png").unlink()
    end, _ = make_alone(styled)
    assert end.error is not None
    assert end.error[:2] == ("ImageError", "style: changed since the night was planned; run it again")


def test_textures_near_those_of_the_pictures_and_nothing_else_of_a_training_changes(tiny_guide: Guide) -> None:
    style_u8 = to_u8(torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    source = tiny_generator()
    goal = PictureGoal(style_u8, PAIR, 1.0, source)

    def trained(**config: Any) -> list[TrainingStep]:
        settings = AdaptConfig(iterations=8, batch_size=2, learning_rate=0.01, train="convs+rgb", **config)
        return list(Adaptation(source, copy.deepcopy(source), tiny_guide, goal, settings, seed=0))

    plain, styled = trained(), trained(texture_weight=1000.0, directional_weight=1e-6)
    assert "texture" not in plain[0].terms
    distances = [float(step.terms["texture"]) for step in styled]
    assert distances[-1] < 0.9 * distances[0]
    assert torch.equal(styled[0].terms["directional"], plain[0].terms["directional"])  # the same latents and views
    with pytest.raises(ParamsError, match=r"^texture_weight: a text shows no texture; name style_images"):
        textures_of(PAIR, tiny_guide)
