"""Light domains: styles that move, weights that they fold into, and mixes of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nada.errors import ShapeError
from nada.generators.light.generator import LightGenerator, mixed
from nada.generators.light.moves import Kind, StyleMoves, mix_moves
from nada.generators.registry import Network
from nada.latents import draw_ws, seeded_rng
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3

of_each_family = pytest.mark.parametrize("make", [tiny_generator, tiny_stylegan3, tiny_mobilestylegan])
LAYER = "b4.conv1"


def some_moves(base: Network, seed: int, *kinds: Kind) -> StyleMoves:
    """Of every style layer, a third of a style on average."""
    rng, moves = seeded_rng(seed), StyleMoves()
    for kind in kinds:
        start = 1.0 if kind == "multiplier" else 0.0
        values = {one.name: start + 0.3 * torch.randn(one.num_channels, generator=rng) for one in base.style_layers()}
        moves = moves.with_(kind, values)
    return moves


def draw(generator: Network | LightGenerator) -> Tensor:
    ws = draw_ws(4, generator, seeded_rng(0))
    return generator.synthesis(ws, "const")


def test_styles_are_multiplied_and_then_offset() -> None:
    moves = StyleMoves({LAYER: torch.tensor([2.0, 1.0])}, {LAYER: torch.tensor([0.5, -1.0])})
    styles = {LAYER: torch.tensor([[1.0, 2.0], [3.0, -1.0]]), "b4.torgb": torch.tensor([[7.0]])}
    moved = moves(styles)
    assert moved[LAYER].tolist() == [[2.5, 1.0], [6.5, -2.0]]
    assert moved["b4.torgb"] is styles["b4.torgb"]


def test_every_picture_of_a_batch_may_have_moves_of_its_own() -> None:
    moves = StyleMoves({}, {LAYER: torch.tensor([[1.0, 0.0], [0.0, 2.0]])})
    assert moves({LAYER: torch.zeros(2, 2)})[LAYER].tolist() == [[1.0, 0.0], [0.0, 2.0]]


@of_each_family
def test_folded_weights_draw_the_same_pictures_and_the_base_stays(make: Callable[[], Network]) -> None:
    base = make()
    light = LightGenerator(base, some_moves(base, 1, "multiplier", "offset"))
    plain, moved, folded = draw(base), draw(light), draw(light.folded())
    assert (moved - plain).abs().max() > 0.1 * plain.std()
    assert (folded - moved).abs().max() < 1e-5 * plain.std()
    assert all(torch.equal(tensor, base.state_dict()[name]) for name, tensor in make().state_dict().items())
    assert light.base is base


@of_each_family
def test_neutral_moves_change_no_bit(make: Callable[[], Network]) -> None:
    base = make()
    neutral = {one.name: torch.ones(one.num_channels) for one in base.style_layers()}
    assert torch.equal(draw(LightGenerator(base, StyleMoves(neutral))), draw(base))


def test_changes_of_a_mix_add_up_by_their_shares() -> None:
    first = StyleMoves({LAYER: torch.tensor([2.0, 1.0])}, {LAYER: torch.tensor([0.0, 4.0])})
    second = StyleMoves({LAYER: torch.tensor([1.0, 0.0])}, {"b8.conv0": torch.tensor([1.0])})
    mix = mix_moves([(first, 0.5), (second, -1.0)])
    assert mix.multiplier[LAYER].tolist() == [1.5, 2.0]
    assert {name: offset.tolist() for name, offset in mix.offset.items()} == {LAYER: [0.0, 2.0], "b8.conv0": [-1.0]}


@of_each_family
def test_mixing_kilobytes_is_mixing_folded_weights(make: Callable[[], Network]) -> None:
    base = make()
    one = LightGenerator(base, some_moves(base, 1, "multiplier"))
    two = LightGenerator(base, some_moves(base, 2, "multiplier", "offset"))
    mix = mixed(base, [(one, 0.6), (two, 0.7)])
    assert isinstance(mix, LightGenerator) and mix.base is base
    beside_weights = mixed(base, [(one, 0.6), (two.folded(), 0.7)])
    assert isinstance(beside_weights, Network)
    assert (draw(mix) - draw(beside_weights)).abs().max() < 1e-5 * draw(base).std()


def test_a_light_domain_of_another_base_is_mixed_by_weights() -> None:
    base = tiny_generator()
    assert isinstance(mixed(base, [(LightGenerator(tiny_generator(), StyleMoves()), 1.0)]), Network)


@pytest.mark.parametrize(
    ("moves", "problem"),
    [
        (StyleMoves({LAYER: torch.ones(3)}), "multipliers of 3 channels of 'b4.conv1', which is 16 channels wide"),
        (StyleMoves({}, {"b64.conv1": torch.ones(3)}), "offsets of 3 channels of 'b64.conv1', which is no layer"),
    ],
)
def test_moves_of_another_style_space_are_refused(moves: StyleMoves, problem: str) -> None:
    with pytest.raises(ShapeError) as caught:
        LightGenerator(tiny_generator(), moves)
    assert str(caught.value) == f"{problem} there"
