from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.errors import NonFiniteLossError, ParamsError
from nada.generators.registry import Network
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from nada.generators.stylegan3 import StyleGAN3, StyleGAN3Config
from nada.latents import draw_ws, seeded_rng
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.adapt.layer_selection import num_selected, select_layers
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.step_inputs import draw_render_inputs
from nada.methods.adapt.trace import TrainingStep
from nada.micro_batch import MicroBatch
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3

PAIR = PromptPair("photo", "sketch")


CONV = r"synthesis\.(b\d+\.conv\d|L[0-3]_\d+_\d+)\.(weight|bias|depthwise)"
RGB = r"synthesis\.((b\d+\.)?torgb|L4_16_3)\.(weight|bias)"
of_each_family = pytest.mark.parametrize("make", [tiny_generator, tiny_stylegan3, tiny_mobilestylegan])


def run(
    guide: Guide, config: AdaptConfig, seed: int = 0, make: Callable[[], Any] = tiny_generator
) -> tuple[Any, Any, list[TrainingStep]]:
    source = make()
    target = copy.deepcopy(source)
    return source, target, list(Adaptation(source, target, guide, PAIR, config, seed))


def changed(source: Network, target: Network) -> set[str]:
    after = target.state_dict()
    return {name for name, tensor in source.state_dict().items() if not torch.equal(tensor, after[name])}


@of_each_family
def test_training_lowers_the_loss(tiny_guide: Guide, make: Callable[[], Network]) -> None:
    *_, steps = run(tiny_guide, AdaptConfig(iterations=40, batch_size=4, learning_rate=0.01), make=make)
    first, last = (torch.stack([step.loss for step in part]).mean() for part in (steps[:5], steps[-5:]))
    assert last < first - 0.05


@of_each_family
def test_only_convolutions_change_by_default(tiny_guide: Guide, make: Callable[[], Network]) -> None:
    source, target, _ = run(tiny_guide, AdaptConfig(iterations=2), make=make)
    expected = {name for name in source.state_dict() if re.fullmatch(CONV, name)}
    assert changed(source, target) == expected
    assert len(expected) == sum(len(layer.weights) for layer in target.conv_layers())


@of_each_family
def test_rgb_alone_leaves_the_convolutions(tiny_guide: Guide, make: Callable[[], Network]) -> None:
    source, target, steps = run(tiny_guide, AdaptConfig(iterations=2, train="rgb"), make=make)
    expected = {name for name in source.state_dict() if re.fullmatch(RGB, name)}
    assert changed(source, target) == expected and len(expected) == len(target.rgb_weights())
    assert steps[0].layers == ()


@of_each_family
def test_unchosen_layers_stay_as_they_were(tiny_guide: Guide, make: Callable[[], Network]) -> None:
    source, target, steps = run(tiny_guide, AdaptConfig(iterations=3, selection=SelectionConfig(k=1)), make=make)
    chosen = {layer for step in steps for layer in step.layers}
    moved = {name.removeprefix("synthesis.").rpartition(".")[0] for name in changed(source, target)}
    assert all(len(step.layers) == 1 for step in steps)
    assert moved <= chosen


@of_each_family
def test_the_same_seed_gives_the_same_bytes(tiny_guide: Guide, make: Callable[[], Network]) -> None:
    config = AdaptConfig(iterations=3, style_mixing=0.5, selection=SelectionConfig(k=2))
    _, first, _ = run(tiny_guide, config, make=make)
    _, second, _ = run(tiny_guide, config, make=make)
    _, other, _ = run(tiny_guide, config, seed=1, make=make)
    assert not changed(first, second)
    assert changed(first, other)


def test_averaged_weights_move_less_than_the_last_ones(tiny_guide: Guide) -> None:
    source, last, _ = run(tiny_guide, AdaptConfig(iterations=4))
    _, average, _ = run(tiny_guide, AdaptConfig(iterations=4, ema=0.9))
    before = source.synthesis.block(16).conv1.weight
    moved = [(generator.synthesis.block(16).conv1.weight - before).norm() for generator in (average, last)]
    assert 0 < moved[0] < moved[1]


def test_a_nan_loss_stops_the_training_and_names_the_step(tiny_guide: Guide) -> None:
    source = tiny_generator()
    target = copy.deepcopy(source)
    steps = iter(Adaptation(source, target, tiny_guide, PAIR, AdaptConfig(iterations=5), 0))
    next(steps)
    target.synthesis.block(4).conv1.bias.data.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"step 1: the loss is nan; try a smaller adapt.learning_rate"):
        next(steps)


def test_weights_broken_by_the_last_update_are_not_handed_out(tiny_guide: Guide) -> None:
    source = tiny_generator()
    target = copy.deepcopy(source)
    weight = target.synthesis.block(4).conv1.weight.requires_grad_()
    weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"step 0: the last update left weights that are not finite"):
        list(Adaptation(source, target, tiny_guide, PAIR, AdaptConfig(iterations=1), 0))


@pytest.mark.parametrize(("resolution", "expected"), [(256, 9), (512, 10), (1024, 12)])
def test_auto_selects_the_published_number_of_layers(resolution: int, expected: int) -> None:
    config = StyleGAN2Config(z_dim=1, w_dim=1, resolution=resolution, channel_base=resolution, channel_max=1)
    assert num_selected(SelectionConfig(k="auto"), StyleGAN2(config)) == expected


def test_auto_selects_two_thirds_of_the_rows_of_a_stylegan3() -> None:
    config = StyleGAN3Config(z_dim=1, w_dim=1, resolution=256, channel_base=256, channel_max=1)
    assert num_selected(SelectionConfig(k="auto"), StyleGAN3(config)) == 10


def test_more_layers_than_there_are_is_an_error() -> None:
    with pytest.raises(ParamsError, match=r"selection.k: 9 layers of 5; at most 5, or 'all'"):
        num_selected(SelectionConfig(k=9), tiny_generator())


@of_each_family
def test_coarse_convolutions_stay_frozen_below_the_least_resolution(
    tiny_guide: Guide, make: Callable[[], Network]
) -> None:
    source = make()
    target = copy.deepcopy(source)
    config = AdaptConfig(iterations=2, selection=SelectionConfig(min_resolution=8))
    list(Adaptation(source, target, tiny_guide, PAIR, config, 0))
    sizes = {layer.name: layer.resolution for layer in source.style_layers()}
    fine = {layer.name for layer in source.conv_layers() if sizes[layer.name] >= 8}
    names = {weight: name for name, weight in target.named_parameters()}
    expected = {names[w] for layer in target.conv_layers() if layer.name in fine for w in layer.weights}
    assert changed(source, target) == expected and 0 < len(fine) <= len(source.conv_layers())


def test_a_least_resolution_that_leaves_nothing_is_an_error() -> None:
    with pytest.raises(ParamsError, match=r"selection.min_resolution: 64; the finest convolution is of 16 px"):
        num_selected(SelectionConfig(min_resolution=64), tiny_generator())


@of_each_family
def test_selection_ranks_by_the_gradient_of_ws(tiny_guide: Guide, make: Callable[[], Network]) -> None:
    generator = make()
    text = tiny_guide.text_embeddings("sketch")
    config = SelectionConfig(k=2, batch_size=4)
    chosen = select_layers(generator, tiny_guide, text, config, seeded_rng(0), MicroBatch(4))

    rng = seeded_rng(0)
    ws = draw_ws(4, generator, rng).clone().requires_grad_()
    seen = draw_render_inputs(4, generator, tiny_guide, rng)
    (emb,) = tiny_guide.embed_images(generator.synthesis(ws, noise=seen.noise), seen.views)
    loss = 1 - (emb @ text[0]).mean()
    loss.backward()
    assert ws.grad is not None
    movement = ws.grad.abs().mean(dim=(0, 2))
    rows = [layer.ws_index for layer in generator.conv_layers()]  # others drive toRGB or the input alone
    assert [layer.ws_index for layer in chosen] == sorted(sorted(rows, key=lambda row: -float(movement[row]))[:2])


@of_each_family
def test_each_layer_names_the_row_of_ws_that_drives_it(make: Callable[[], Network]) -> None:
    generator = make()
    ws = draw_ws(1, generator, seeded_rng(0)).clone()
    for layer in generator.conv_layers():
        module = generator.synthesis.get_submodule(layer.name)
        seen: list[torch.Tensor] = []
        handle = module.affine.register_forward_hook(lambda _, args, __, seen=seen: seen.append(args[0]))  # type: ignore
        ws[:, layer.ws_index] = layer.ws_index + 10.0
        generator.synthesis(ws)
        handle.remove()
        assert torch.equal(seen[0], ws[:, layer.ws_index])


def test_mixed_latents_take_their_last_rows_from_another(tiny_guide: Guide) -> None:
    ws = draw_ws(16, tiny_generator(), seeded_rng(0), style_mixing=1.0)
    assert not torch.equal(ws[:, 0], ws[:, -1])
    plain = draw_ws(16, tiny_generator(), seeded_rng(0))
    assert torch.equal(ws[:, 0], plain[:, 0])
