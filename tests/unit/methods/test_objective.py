"""Losses beyond the paper's: what they are in a training, whatever memory does, and what holds the weights."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.config import ViewsConfig
from nada.latents import seeded_rng
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.objective.elastic import ElasticWeights, fisher_information
from nada.methods.adapt.objective.terms import OF_BATCHES, OF_PICTURES
from nada.methods.adapt.step_inputs import draw_step_inputs
from nada.micro_batch import MicroBatch
from tests.conftest import tiny_generator

PAIR = PromptPair("photo", "sketch")
OF_TEXTS = tuple(name for name in OF_PICTURES if name != "texture")
ALL = dict.fromkeys((f"{name}_weight" for name in (*OF_TEXTS, *OF_BATCHES, "elastic")), 0.7)


def adaptation(guide: Guide, seed: int = 0, **config: Any) -> Adaptation:
    source = tiny_generator()
    return Adaptation(source, copy.deepcopy(source), guide, PAIR, AdaptConfig(**config), seed)


@pytest.fixture
def guide(tiny_guide: Guide) -> Guide:
    return Guide(tiny_guide.models, [0.7], ViewsConfig(crop=0.2, flip=True, noise=0.1))


@pytest.mark.parametrize("size", [1, 3])
def test_what_is_of_a_batch_has_the_same_gradient_in_parts(guide: Guide, size: int) -> None:
    training = adaptation(guide, batch_size=5, **ALL)
    next(iter(training))  # away from the start, where all pictures are equal to their sources
    training.parameters.train_only(training.target.conv_layers())
    inputs = draw_step_inputs(training.config, training.source, guide, seeded_rng(0))
    terms, gradients = [], []
    for micro_batch in (5, size):
        terms.append(MicroBatch(micro_batch).backward("training", inputs, training.losses, training.optimizer))
        learnable = training.parameters.learnable
        gradients.append(torch.cat([weight.grad.flatten() for weight in learnable if weight.grad is not None]))
    assert terms[0].keys() == terms[1].keys() == {*OF_TEXTS, *OF_BATCHES, "elastic", "loss"}
    for name, term in terms[0].items():
        torch.testing.assert_close(terms[1][name], term, rtol=1e-4, atol=1e-6)
    assert (gradients[1] - gradients[0]).norm() < 1e-4 * gradients[0].norm()


def test_the_loss_is_the_weighted_sum_of_its_terms(guide: Guide) -> None:
    (step,) = adaptation(guide, iterations=1, batch_size=3, **ALL)
    assert float(step.loss) == pytest.approx(0.7 * float(sum(step.terms.values())), rel=1e-5)


@pytest.mark.parametrize("name", ["feature", "elastic"])
def test_what_holds_a_domain_back_moves_it_less(guide: Guide, name: str) -> None:
    def moved(weight: float) -> float:
        training = adaptation(guide, iterations=6, learning_rate=0.01, **{f"{name}_weight": weight})
        list(training)
        inputs = draw_step_inputs(AdaptConfig(batch_size=4), training.source, guide, seeded_rng(1))
        return float(training.losses(inputs)[name])

    assert moved(1000.0) < moved(1e-6)


def test_patches_show_the_same_place_before_and_after(guide: Guide) -> None:
    config = AdaptConfig(batch_size=3, patch_directional_weight=1.0)
    patches = draw_step_inputs(config, tiny_generator(), guide, seeded_rng(0)).patches
    assert patches is not None
    before, after = patches
    assert before.theta is not None and after.theta is not None
    assert before.noise is not None and after.noise is not None
    assert torch.equal(before.theta, after.theta) and not torch.equal(before.noise, after.noise)
    assert (before.theta[:, 0, 0] == 0.5).all()
    assert (before.theta[:, :, 2].abs() <= 0.5).all()  # a patch of half the side stays within [-1, 1]


def test_without_patches_nothing_is_drawn_for_them(guide: Guide) -> None:
    plain, rng = AdaptConfig(batch_size=3), seeded_rng(0)
    assert draw_step_inputs(plain, tiny_generator(), guide, rng).patches is None
    others = seeded_rng(0)
    draw_step_inputs(AdaptConfig(batch_size=3, feature_weight=1.0), tiny_generator(), guide, others)
    assert torch.equal(rng.get_state(), others.get_state())


def test_elastic_weights_cost_their_squared_distance_by_their_information() -> None:
    weights = [torch.nn.Parameter(torch.tensor([1.0, 5.0])), torch.nn.Parameter(torch.tensor(2.0))]
    held = ElasticWeights(weights, [torch.tensor([2.0, 0.0]), torch.tensor(3.0)])
    assert held() == 0
    weights[0].data += 2
    weights[1].data -= 1
    penalty = held()
    penalty.backward()
    assert penalty == 2 * 2**2 + 0 * 2**2 + 3 * 1**2
    assert weights[0].grad is not None and weights[0].grad.tolist() == [8.0, 0.0]


def test_the_information_of_a_linear_picture_is_its_squared_slope() -> None:
    """A picture theta * (1, 2, 0), and two models that see it as it is, the second with three times the share."""
    theta, slope = torch.nn.Parameter(torch.tensor([4.0, 5.0, 6.0]), requires_grad=False), torch.tensor([1.0, 2.0, 0.0])
    generator: Any = SimpleNamespace(
        z_dim=1,
        resolution=1,
        parameters=lambda: iter([theta]),
        mapping=lambda z: z,
        draw_noise=lambda *_: (),
        synthesis=lambda *_, **__: (theta * slope)[None],
    )
    see: Any = SimpleNamespace(
        weights=[1.0, 3.0], draw_augmentations=lambda *_: None, embed_images=lambda img, _: [img, img]
    )
    (fisher,) = fisher_information(generator, see, [theta], seeded_rng(0), MicroBatch(1), num=4000)
    torch.testing.assert_close(fisher, 4 * slope.square(), rtol=0.1, atol=0)
    assert not theta.requires_grad


def test_the_information_leaves_the_random_numbers_of_training_alone(guide: Guide) -> None:
    plain, held = adaptation(guide), adaptation(guide, elastic_weight=1.0)
    assert torch.equal(plain.rng.get_state(), held.rng.get_state())
    assert not any(parameter.requires_grad for parameter in held.target.parameters())
