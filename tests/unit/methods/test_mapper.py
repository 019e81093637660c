"""The latent mapper: its network and losses against small cases worked by hand, and its training."""

from __future__ import annotations

import math
from itertools import islice

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.errors import NonFiniteLossError, ParamsError, ShapeError
from nada.generators.stylegan2_ops import LRELU_GAIN
from nada.latents import draw_ws, seeded_rng
from nada.methods.mapper.config import MapperConfig
from nada.methods.mapper.loop import MapperTraining, norm_loss
from nada.methods.mapper.network import GroupMapper, LatentMapper, groups_there
from tests.conftest import tiny_generator

PAIR = PromptPair("photo", "neon lights")
LOSSES = {"global_weight": 2.0, "directional_weight": 0.5, "latent_weight": 0.25, "norm_weight": 4.0}


def identity_layers(mapper: GroupMapper) -> None:
    """Layers that pass on what they read, but for their leaky ReLU."""
    with torch.no_grad():
        for layer in mapper.children():
            layer.weight.copy_(torch.eye(len(layer.bias)) / layer.weight_gain)  # type: ignore[operator]


def filled(mapper: LatentMapper, value: float) -> LatentMapper:
    """M is `value` everywhere: weights of zero, and the last layer's bias says it."""
    with torch.no_grad():
        for group in mapper.groups:
            layers = list(mapper.get_submodule(group).children())
            for layer in layers:
                layer.weight.zero_()  # type: ignore[operator]
            layers[-1].bias.fill_(value / LRELU_GAIN / layers[-1].bias_gain)  # type: ignore[operator]
    return mapper


def test_a_group_normalises_each_row_and_applies_four_layers() -> None:
    mapper = GroupMapper(2)
    identity_layers(mapper)
    w = torch.tensor([[[3.0, 4.0], [30.0, -40.0]]])  # of the same direction but for a sign, and ten times as long
    length = math.sqrt((9 + 16) / 2)
    gain, slope = math.sqrt(2) ** 4, 0.2**4
    expected = torch.tensor([[[3 * gain, 4 * gain], [3 * gain, -4 * gain * slope]]]) / length
    torch.testing.assert_close(mapper(w), expected)
    assert len(list(mapper.children())) == 4


def test_a_step_is_scaled_and_moves_the_rows_of_its_groups_alone() -> None:
    mapper = filled(LatentMapper(4, 10, ("coarse", "fine"), 0.1), 3.0)
    ws = torch.randn(2, 10, 4)
    moved = mapper(ws) - ws
    expected = torch.zeros(10)
    expected[[0, 1, 2, 3, 8, 9]] = 0.3
    torch.testing.assert_close(moved, expected[None, :, None].expand_as(moved), atol=1e-6, rtol=0)


def test_without_groups_latents_stay_as_they_are_to_the_bit() -> None:
    ws = torch.randn(2, 6, 4)
    assert LatentMapper(4, 6, (), 0.1)(ws) is ws


@pytest.mark.parametrize(
    ("num_ws", "there"),
    [(4, ("coarse",)), (6, ("coarse", "medium")), (8, ("coarse", "medium")), (10, ("coarse", "medium", "fine"))],
)
def test_a_small_generator_has_the_groups_of_a_large_one_as_far_as_it_goes(num_ws: int, there: tuple[str, ...]) -> None:
    assert groups_there(("coarse", "medium", "fine"), num_ws) == there


def test_groups_of_which_there_is_no_row_are_refused_if_no_other_is_on() -> None:
    assert groups_there(("coarse", "fine"), 6) == ("coarse",)
    with pytest.raises(ParamsError, match=r"^fine: rows of ws from 8 on, of 6; set coarse or medium true as well$"):
        groups_there(("fine",), 6)


def test_latents_of_another_generator_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected \[N, 6, 4\], got \[2, 6, 5\]"):
        LatentMapper(4, 6, ("coarse",), 0.1)(torch.zeros(2, 6, 5))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"coarse": False, "medium": False, "fine": False}, "coarse, medium and fine are all false"),
        ({"global_weight": 0.0}, "global_weight and directional_weight are both 0"),
        ({"scale": 0.0}, "greater than 0"),
        ({"truncation_psi": 1.5}, "less than or equal to 1"),
    ],
)
def test_settings_that_move_or_learn_nothing_are_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        MapperConfig.model_validate(wrong)


def test_the_published_weights_are_the_defaults() -> None:
    config = MapperConfig()
    assert (config.scale, config.global_weight, config.latent_weight, config.batch_size) == (0.1, 1.0, 0.8, 2)
    assert (config.truncation_psi, config.learning_rate, config.groups) == (0.7, 0.5, ("coarse", "medium", "fine"))


def test_norms_are_compared_before_they_are_normalised() -> None:
    before, after = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[0.0, 6.0], [2.0, 0.0]])
    assert norm_loss(before, after).item() == pytest.approx(((5 - 6) ** 2 + 0) / 2)


def training(guide: Guide, **settings: object) -> MapperTraining:
    config = MapperConfig.model_validate({"iterations": 3, **settings})
    return MapperTraining(tiny_generator(), guide, PAIR, config, seed=0)


def test_raw_embeddings_are_those_that_are_normalised(tiny_guide: Guide) -> None:
    img = torch.rand(2, 3, 16, 16) * 2 - 1
    views = tiny_guide.draw_augmentations(2, 16, seeded_rng(0))
    for raw, emb in zip(tiny_guide.embed_images_raw(img, views), tiny_guide.embed_images(img, views), strict=True):
        torch.testing.assert_close(raw / raw.norm(dim=1, keepdim=True), emb)
        assert not torch.allclose(raw.norm(dim=1), torch.ones(2), atol=0.01)


def test_the_loss_is_the_weighted_sum_of_its_terms(tiny_guide: Guide) -> None:
    made = training(tiny_guide, **LOSSES)
    filled(made.mapper, 3.0)
    with torch.no_grad():
        terms = made.losses(made.draw())
    assert terms["latent"].item() == pytest.approx(0.3**2, rel=1e-4)
    weighed = 2 * terms["global"] + 0.5 * terms["directional"] + 0.25 * terms["latent"] + 4 * terms["norm"]
    torch.testing.assert_close(terms["loss"], weighed)
    assert made.terms == ("loss", "global", "directional", "latent", "norm")


def test_a_mapper_that_moves_nothing_keeps_every_norm_and_costs_no_step(tiny_guide: Guide) -> None:
    made = training(tiny_guide, **LOSSES)
    filled(made.mapper, 0.0)
    with torch.no_grad():
        terms = made.losses(made.draw())
    assert (terms["latent"].item(), terms["norm"].item(), terms["directional"].item()) == (0.0, 0.0, 1.0)


def test_pictures_before_the_step_are_drawn_only_where_a_loss_asks_for_them(tiny_guide: Guide) -> None:
    made, drawn = training(tiny_guide), []
    synthesis = made.source.synthesis
    synthesis.register_forward_hook(lambda *_: drawn.append(1))  # type: ignore[attr-defined]
    made.losses(made.draw())
    assert len(drawn) == 1


def test_latents_are_drawn_at_the_truncation_that_is_asked_for(tiny_guide: Guide) -> None:
    ws = {psi: training(tiny_guide, truncation_psi=psi).draw().ws for psi in (0.5, 1.0)}
    centre = tiny_generator().mapping.w_avg
    torch.testing.assert_close(ws[0.5] - centre, 0.5 * (ws[1.0] - centre))


def test_it_learns_and_leaves_the_source_alone(tiny_guide: Guide) -> None:
    made = training(tiny_guide, iterations=12, learning_rate=0.3, latent_weight=0.0, truncation_psi=0.0)
    before = {name: tensor.clone() for name, tensor in made.source.state_dict().items()}  # type: ignore[attr-defined]
    losses = [float(terms["loss"]) for terms in made]
    assert losses[-1] < losses[0]
    assert all(torch.equal(before[name], now) for name, now in made.source.state_dict().items())  # type: ignore[attr-defined]


def test_the_same_seed_draws_the_same_losses_whatever_was_drawn_before(tiny_guide: Guide) -> None:
    def losses() -> list[Tensor]:
        torch.rand(3)
        return [terms["loss"] for terms in training(tiny_guide)]

    assert [float(loss) for loss in losses()] == [float(loss) for loss in losses()]


def test_pictures_one_at_a_time_have_the_same_gradients_but_for_rounding(tiny_guide: Guide) -> None:
    whole, split = training(tiny_guide, **LOSSES), training(tiny_guide, **LOSSES)
    split.micro_batch.size = 1
    for made in (whole, split):
        made.micro_batch.backward("training", made.draw(), made.losses, made.optimizer)
    for one, other in zip(whole.mapper.parameters(), split.mapper.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-7)


def test_a_loss_that_is_no_number_names_the_option(tiny_guide: Guide) -> None:
    made = training(tiny_guide, global_weight=1e39)
    with pytest.raises(NonFiniteLossError, match=r"^step 0: the loss is inf; try a smaller mapper.learning_rate"):
        list(islice(made, 1))


def test_ws_of_a_mixed_latent_are_moved_row_by_row() -> None:
    generator, mapper = tiny_generator(), LatentMapper(8, 6, ("coarse", "medium"), 0.1)
    first, second = draw_ws(2, generator, seeded_rng(0))
    mixed = torch.cat([first[:3], second[3:]])
    rows = torch.cat([mapper(first[None])[0, :3], mapper(second[None])[0, 3:]])
    torch.testing.assert_close(mapper(mixed[None])[0], rows)
