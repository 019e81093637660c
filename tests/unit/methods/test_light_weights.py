"""Rows that learn a few numbers of each layer: what learns, what stays, what is kept, and that a state goes on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.generators.light.generator import LightGenerator
from nada.generators.light.moves import StyleMoves
from nada.generators.registry import Network
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.parametrisation import begin_target, sparse
from nada.methods.adapt.wording import settings_in_words
from tests.conftest import tiny_generator
from tests.unit.generators.test_light import draw, of_each_family, some_moves

PAIR = PromptPair("photo", "sketch")


def config(parameters: str, **options: Any) -> AdaptConfig:
    return AdaptConfig.model_validate(
        {"iterations": 4, "batch_size": 2, "learning_rate": 0.02, "parameters": parameters, **options}
    )


def begin(guide: Guide, config: AdaptConfig, source: Network | LightGenerator | None = None) -> Adaptation:
    source = tiny_generator() if source is None else source
    return Adaptation(source, begin_target(source, config), guide, PAIR, config, seed=0)


def trained(guide: Guide, config: AdaptConfig, source: Network | LightGenerator | None = None) -> LightGenerator:
    adaptation = begin(guide, config, source)
    list(adaptation)
    assert isinstance(adaptation.target, LightGenerator)
    return adaptation.target


def changed(values: dict[str, Tensor], neutral: float) -> set[str]:
    """Layers that moved."""
    return {name for name, value in values.items() if bool((value != neutral).any())}


@of_each_family
@pytest.mark.parametrize(("parameters", "neutral"), [("modulation", 1.0), ("style-offset", 0.0)])
def test_convolutions_move_and_no_weight_does(
    tiny_guide: Guide, make: Callable[[], Network], parameters: str, neutral: float
) -> None:
    source = make()
    light = trained(tiny_guide, config(parameters), source)
    moved = dict(light.moves.multiplier if parameters == "modulation" else light.moves.offset)
    assert changed(moved, neutral) == {layer.name for layer in source.conv_layers()} == set(moved)
    assert not (light.moves.offset if parameters == "modulation" else light.moves.multiplier)
    assert light.base is source and all(weight.grad is None for weight in source.parameters())
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in make().state_dict().items())
    assert not any(value.requires_grad for value in moved.values())


@pytest.mark.parametrize("parameters", ["modulation", "style-offset"])
def test_training_lowers_the_loss(tiny_guide: Guide, parameters: str) -> None:
    steps = list(begin(tiny_guide, config(parameters, iterations=40, batch_size=4, learning_rate=0.05)))
    first, last = (torch.stack([step.loss for step in part]).mean() for part in (steps[:5], steps[-5:]))
    assert last < first - 0.05


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ({"train": "rgb"}, {"b4.torgb", "b8.torgb", "b16.torgb"}),
        ({"train": "convs", "selection": SelectionConfig(min_resolution=16)}, {"b16.conv0", "b16.conv1"}),
        (
            {"train": "convs+rgb", "selection": SelectionConfig(min_resolution=16)},
            {"b16.conv0", "b16.conv1", "b4.torgb", "b8.torgb", "b16.torgb"},
        ),
    ],
)
def test_the_layers_that_weights_would_learn_in_move(
    tiny_guide: Guide, options: dict[str, Any], layers: set[str]
) -> None:
    moves = trained(tiny_guide, config("style-offset", **options)).moves
    assert changed(dict(moves.offset), 0.0) == set(moves.offset) == layers


def test_layer_selection_chooses_among_them(tiny_guide: Guide) -> None:
    adaptation = begin(tiny_guide, config("modulation", selection=SelectionConfig(k=1, batch_size=2)))
    chosen = {layer for step in adaptation for layer in step.layers}
    assert isinstance(adaptation.target, LightGenerator)
    assert changed(dict(adaptation.target.moves.multiplier), 1.0) == chosen
    assert all(len(step.layers) == 1 for step in adaptation.trace)


def test_the_numbers_furthest_from_neutral_are_kept() -> None:
    values = {"b4": torch.tensor([1.5, 0.2, 1.1]), "b8": torch.tensor([0.9, 3.0])}
    kept = sparse(values, neutral=1.0, sparsity=0.6)
    assert {name: value.tolist() for name, value in kept.items()} == {
        "b4": [1.0, pytest.approx(0.2), 1.0],
        "b8": [1.0, 3.0],
    }


def test_a_sparse_row_is_looked_at_as_it_would_be_kept_and_learns_on_as_a_whole(tiny_guide: Guide) -> None:
    adaptation = begin(tiny_guide, config("style-offset", sparsity=0.8, ema=0.5))
    list(islice(adaptation, 2))
    before = adaptation.parameters.snapshot()
    with adaptation.parameters.averaged():
        looked_at = torch.cat(list(adaptation.parameters.snapshot().values()))
    assert looked_at.count_nonzero() == len(looked_at) - int(0.8 * len(looked_at))
    after = adaptation.parameters.snapshot()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert torch.cat(list(before.values())).count_nonzero() > 0.9 * len(looked_at)
    light = trained(tiny_guide, config("style-offset", sparsity=0.8, ema=0.5))
    assert torch.cat(list(light.moves.offset.values())).count_nonzero() == looked_at.count_nonzero()


def test_numbers_that_are_given_up_on_the_way_stay_neutral_while_the_others_make_up_for_them(tiny_guide: Guide) -> None:
    options = config("style-offset", sparsity=0.8, sparse_from=0.5, ema=0.5, iterations=4)
    adaptation = begin(tiny_guide, options)
    steps = iter(adaptation)
    list(islice(steps, 2))
    largest = sparse(adaptation.parameters.snapshot(), 0.0, 0.8)
    next(steps)
    learned = adaptation.parameters.snapshot()
    for name, value in learned.items():
        assert torch.equal(value != 0, largest[name] != 0), name
        assert not value.count_nonzero() or not torch.equal(value, largest[name]), name
    next(steps)
    assert next(steps, None) is None
    kept = adaptation.parameters.snapshot()
    assert all(torch.equal(kept[name] != 0, largest[name] != 0) for name in kept)


def test_nothing_is_given_up_before_a_first_step_has_told_what_moves(tiny_guide: Guide) -> None:
    light = trained(tiny_guide, config("style-offset", sparsity=0.8, sparse_from=0.05, iterations=2))
    assert torch.cat(list(light.moves.offset.values())).count_nonzero() > 0


@pytest.mark.parametrize(
    "options",
    [
        {"parameters": "style-offset", "sparsity": 0.8, "sparse_from": 0.5, "ema": 0.5},
        {"parameters": "modulation", "ema": 0.9, "train": "convs+rgb", "decay": "cosine"},
        {"parameters": "style-offset", "sparsity": 0.8, "selection": SelectionConfig(k=2, batch_size=2)},
    ],
)
@pytest.mark.parametrize("steps", [1, 3])
def test_a_state_goes_on_to_the_same_bytes(tiny_guide: Guide, options: dict[str, Any], steps: int) -> None:
    undisturbed, ended, resumed = (begin(tiny_guide, config(**options)) for _ in range(3))
    list(undisturbed)
    list(islice(ended, steps))
    state = {name: tensor.clone() for name, tensor in ended.state_dict().items()}
    assert sum(tensor.numel() for tensor in state.values()) < 10_000  # weights are no part of it
    resumed.load_state_dict(state)
    assert [step.index for step in resumed] == list(range(steps, 4))
    expected, found = undisturbed.state_dict(), resumed.state_dict()
    assert expected.keys() == found.keys() and all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_row_on_a_light_row_starts_where_that_one_ended(tiny_guide: Guide) -> None:
    base = tiny_generator()
    source = LightGenerator(base, some_moves(base, 1, "multiplier", "offset"))
    target = begin_target(source, config("style-offset"))
    adaptation = Adaptation(source, target, tiny_guide, PAIR, config("style-offset"), seed=0)
    assert torch.equal(draw(target), draw(source))
    before = {name: value.clone() for name, value in source.moves.offset.items()}
    list(adaptation)
    assert isinstance(target, LightGenerator) and target.base is base
    assert target.moves.multiplier == source.moves.multiplier
    assert changed({name: target.moves.offset[name] - before[name] for name in before}, 0.0) == {
        layer.name for layer in base.conv_layers()
    }
    assert all(torch.equal(source.moves.offset[name], before[name]) for name in before)


def test_weights_learn_in_a_copy(tiny_guide: Guide) -> None:
    source = tiny_generator()
    assert isinstance(begin_target(source, config("full")), Network)
    assert begin_target(source, config("full")) is not source
    assert isinstance(begin_target(source, config("modulation")), LightGenerator)
    assert StyleMoves() == LightGenerator(source, StyleMoves()).moves


def test_sparse_weights_are_refused() -> None:
    with pytest.raises(ValidationError, match="sparsity is for the few numbers of parameters: modulation or style-off"):
        AdaptConfig(sparsity=0.8)
    with pytest.raises(ValidationError, match="sparse_from says when numbers are given up, and sparsity: 0"):
        AdaptConfig(sparse_from=0.5)


def test_settings_say_what_learns() -> None:
    words = settings_in_words(config("style-offset", sparsity=0.8))
    assert words == "of 2, learning rate 0.02, style-offset of convs, 20% kept, k all"
