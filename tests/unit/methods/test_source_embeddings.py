"""What the guide saw of a source is seen once, and what comes of it is the same to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.config import ClipConfig, GuideClipConfig, GuideConfig, JudgeConfig, SamplesConfig
from nada.methods.adapt import loop
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.adapt.making import AdaptedRow
from nada.methods.adapt.objective.source_embeddings import Embeddings, SourceEmbeddings, Tally
from nada.methods.base import Assignment
from nada.methods.models import Clips, Models

CONFIG = AdaptConfig(iterations=3, batch_size=2, train="convs+rgb")
CHOOSING = SelectionConfig(k=2, batch_size=2)


@pytest.fixture
def models(tiny_world: Path) -> Models:
    guide = GuideConfig(
        models=(GuideClipConfig(name="tiny-guide", weights=str(tiny_world / "tiny-guide.safetensors")),),
        config_dir=str(tiny_world),
    )
    judge = JudgeConfig(model=ClipConfig(name="tiny-judge", weights=str(tiny_world / "tiny-judge.safetensors")))
    return Models(tiny_world / "generator.safetensors", "generator", Clips(guide, judge, "cpu"), SamplesConfig(count=2))


def trained(models: Models, target: str, config: AdaptConfig = CONFIG, seed: int = 0) -> AdaptedRow:
    goal = PromptPair("photo", target)
    row = AdaptedRow(Assignment(row=target, goal=goal, config=config, seed=seed, storage="delta"), models)
    assert len(list(row.train())) == config.iterations
    return row


def weights(row: AdaptedRow) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in row.adaptation.parameters.snapshot().values()]


OTHERS = {
    "other words": CONFIG,
    "light": CONFIG.model_copy(update={"parameters": "modulation"}),
    "fixed layers": CONFIG.model_copy(update={"train": "rgb"}),
    "longer": CONFIG.model_copy(update={"iterations": 4}),
}


@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS)
def test_a_row_after_another_has_the_bytes_of_one_alone(models: Models, config: AdaptConfig) -> None:
    alone = weights(trained(replace(models, _kept={}), "robot", config))
    first = trained(models, "neon lights")
    later = trained(models, "robot", config)
    assert weights(later) == alone
    assert (first.shared_sources().asked, first.shared_sources().known) == (3, 0)
    assert (later.shared_sources().asked, later.shared_sources().known) == (config.iterations, 3)
    assert later.shared_sources().bytes == config.iterations * 2 * 16 * 4  # pictures, numbers, bytes of a number


@pytest.mark.parametrize(
    ("config", "seed"),
    [
        (CONFIG, 1),
        (CONFIG.model_copy(update={"batch_size": 3}), 0),
        (CONFIG.model_copy(update={"style_mixing": 0.5}), 0),
        (CONFIG.model_copy(update={"patch_directional_weight": 0.5}), 0),
    ],
)
def test_a_row_that_draws_otherwise_sees_its_own_source(models: Models, config: AdaptConfig, seed: int) -> None:
    alone = weights(trained(replace(models, _kept={}), "robot", config, seed))
    trained(models, "neon lights")
    later = trained(models, "robot", config, seed)
    assert weights(later) == alone
    assert later.shared_sources().known == 0


def test_another_size_of_parts_is_another_batch(models: Models) -> None:
    trained(models, "neon lights")
    models.micro_batch = 1
    assert trained(models, "robot").shared_sources().known == 0


def test_rows_that_choose_layers_alike_share_too(models: Models) -> None:
    config = CONFIG.model_copy(update={"selection": CHOOSING})
    trained(models, "neon lights", config)
    assert trained(models, "robot", config).shared_sources().known == 3


def test_the_search_for_layers_pays_for_no_gradient_of_weights(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    learning: list[bool] = []
    select = loop.select_layers

    def watched(generator: torch.nn.Module, *rest: object) -> object:
        learning.append(any(parameter.requires_grad for parameter in generator.parameters()))
        return select(generator, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "select_layers", watched)
    trained(models, "robot", CONFIG.model_copy(update={"selection": CHOOSING}))
    assert learning == [False] * 3


def seen(value: float, count: int = 4) -> Embeddings:
    return [torch.full((count,), value)], []


def test_what_earlier_rows_used_gives_way_and_a_row_keeps_its_own() -> None:
    known = SourceEmbeddings(most_bytes=32)  # two of four numbers each
    first, second = Tally(), Tally()

    def ask(key: str, value: float, tally: Tally) -> Tensor:
        return known.find(key, lambda: seen(value), tally)[0][0]

    assert [float(ask(key, value, first)[0]) for key, value in (("a", 1.0), ("b", 2.0), ("c", 3.0))] == [1, 2, 3]
    assert float(ask("a", -1.0, second)[0]) == 1  # kept, and now of the second row
    assert float(ask("d", 4.0, second)[0]) == 4  # in place of b
    assert float(ask("a", -1.0, second)[0]) == 1
    assert float(ask("b", -2.0, second)[0]) == -2
    assert known.num_bytes == 32
    assert (second.asked, second.known) == (4, 2)


def test_what_is_larger_than_all_room_is_not_kept() -> None:
    known = SourceEmbeddings(most_bytes=8)
    assert [float(known.find("a", lambda: seen(value), Tally())[0][0][0]) for value in (1.0, 2.0)] == [1, 2]  # noqa: B023
    assert known.num_bytes == 0
