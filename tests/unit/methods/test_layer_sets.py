"""Fixed sets of layers in place of a selection, and how often a selection is made."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.errors import ParamsError
from nada.generators.registry import Network
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from nada.methods.adapt.config import AdaptConfig, LayerSet, SelectionConfig
from nada.methods.adapt.layer_selection import eligible_layers, num_selected
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.method import Adapt
from nada.methods.adapt.trace import TrainingStep
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
ABOVE_4 = [f"b{size}.conv{i}" for size in SIZES for i in (0, 1)]
of_each_family = pytest.mark.parametrize("make", [tiny_generator, tiny_stylegan3, tiny_mobilestylegan])


def steps(guide: Guide, config: AdaptConfig, make: Callable[[], Any] = tiny_generator) -> list[TrainingStep]:
    source = make()
    return list(Adaptation(source, copy.deepcopy(source), guide, PromptPair("photo", "sketch"), config, 0))


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("shape", ["b4.conv1", "b8.conv0", "b8.conv1"]),
        ("shape-expanded", ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0"]),
        ("texture", ["b4.conv1", *ABOVE_4[2:10]]),
        ("no-fine", ["b4.conv1", *ABOVE_4[:10]]),
        ("all", ["b4.conv1", *ABOVE_4]),
    ],
)
def test_the_sets_of_a_large_generator_are_the_references(layers: LayerSet, expected: list[str]) -> None:
    config = StyleGAN2Config(z_dim=1, w_dim=1, resolution=1024, channel_base=1024, channel_max=1)
    found = eligible_layers(SelectionConfig(layers=layers), StyleGAN2(config))
    assert [layer.name for layer in found] == expected
    assert ABOVE_4[9] == "b128.conv1"


@of_each_family
def test_a_fixed_set_trains_its_layers_in_every_step(tiny_guide: Guide, make: Callable[[], Network]) -> None:
    config = AdaptConfig(iterations=2, selection=SelectionConfig(layers="shape"))
    expected = tuple(layer.name for layer in make().conv_layers()[:3])
    assert [step.layers for step in steps(tiny_guide, config, make)] == [expected] * 2


def test_a_set_below_the_least_resolution_is_refused() -> None:
    config = SelectionConfig(layers="shape", min_resolution=16)
    message = r"selection.layers: none of 'shape' is of 16 px \(selection.min_resolution\) or more; lower that, or"
    with pytest.raises(ParamsError, match=message):
        num_selected(config, tiny_generator())


@pytest.mark.parametrize(("every", "chosen"), [(1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), ("once", [0])])
def test_layers_are_chosen_as_often_as_asked(
    tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch, every: Any, chosen: list[int]
) -> None:
    """Each choice is another, so that a layer that stays is one that was not chosen anew."""
    calls: list[str] = []

    def choose(generator: Network, *_: object) -> list[Any]:
        layer = generator.conv_layers()[len(calls)]
        calls.append(layer.name)
        return [layer]

    monkeypatch.setattr("nada.methods.adapt.loop.select_layers", choose)
    config = AdaptConfig(iterations=5, selection=SelectionConfig(k=1, every=every))
    found = [step.layers[0] for step in steps(tiny_guide, config)]
    assert len(calls) == len(chosen)
    assert found == [calls[sum(at <= index for at in chosen) - 1] for index in range(5)]


def test_losses_of_pairs_are_doubted_in_small_batches() -> None:
    config = AdaptConfig(batch_size=2, in_domain_angle_weight=5.0)
    assert Adapt().doubts(config) == [
        "in_domain_angle_weight: 5 with a batch_size of 2; 4 or more tell how pictures differ"
    ]
    assert Adapt().doubts(AdaptConfig(batch_size=4, in_domain_angle_weight=5.0)) == []
    assert Adapt().doubts(AdaptConfig(batch_size=2)) == []
