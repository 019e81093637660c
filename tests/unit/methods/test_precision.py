"""bfloat16 in the generator: near the same pictures and gradients, float32 everywhere else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import islice

import pytest
import torch
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.generators.registry import Network
from nada.generators.stylegan2_ops import demodulation, modulated_conv, upsample
from nada.latents import draw_ws, seeded_rng
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.objective.precision import draw_pictures
from nada.methods.adapt.objective.source_embeddings import SourceEmbeddings
from nada.methods.adapt.parametrisation import begin_target
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3

of_each_family = pytest.mark.parametrize("make", [tiny_generator, tiny_stylegan3, tiny_mobilestylegan])
EXACT = AdaptConfig(iterations=3, batch_size=2, train="convs+rgb")
REDUCED = EXACT.model_copy(update={"precision": "bfloat16"})


def adaptation(guide: Guide, config: AdaptConfig, make: Callable[[], Network] = tiny_generator) -> Adaptation:
    source = make()
    return Adaptation(source, begin_target(source, config), guide, PromptPair("photo", "sketch"), config, 0)


def gradients(guide: Guide, config: AdaptConfig, make: Callable[[], Network]) -> Tensor:
    """Of the first step, of everything that learns."""
    training = adaptation(guide, config, make)
    training.parameters.train_only(training.target.conv_layers())
    training.losses(training.draw_inputs())["loss"].backward()  # type: ignore[no-untyped-call]
    grads = [parameter.grad for parameter in training.parameters.learnable]
    assert all(grad is not None and grad.dtype == torch.float32 for grad in grads)
    return torch.cat([grad.flatten() for grad in grads if grad is not None])


@of_each_family
def test_pictures_are_nearly_the_same_and_of_full_type(make: Callable[[], Network]) -> None:
    generator, rng = make(), seeded_rng(0)
    ws, noise = draw_ws(3, generator, rng), generator.draw_noise(3, rng)
    exact, reduced = (draw_pictures(generator.synthesis, ws, noise, precision) for precision in ("float32", "bfloat16"))
    assert torch.equal(exact, generator.synthesis(ws, noise=noise))
    assert reduced.dtype == torch.float32 and not torch.equal(exact, reduced)
    assert (reduced - exact).norm() < 0.02 * exact.norm()  # eight bits: 0.4% for each number


@of_each_family
@pytest.mark.parametrize("parameters", ["full", "modulation", "style-offset"])
def test_gradients_point_the_same_way(tiny_guide: Guide, make: Callable[[], Network], parameters: str) -> None:
    exact, reduced = (
        gradients(tiny_guide, config.model_copy(update={"parameters": parameters}), make) for config in (EXACT, REDUCED)
    )
    assert torch.cosine_similarity(exact, reduced, dim=0) > 0.99


def test_demodulation_and_the_sum_of_pictures_stay_exact() -> None:
    torch.manual_seed(0)
    weight, styles, img = torch.randn(4, 64, 3, 3), torch.randn(2, 64), torch.randn(1, 3, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(demodulation(weight, styles), demodulation(weight.clone(), styles.clone()))
        reduced = demodulation(weight, styles)
        picture = upsample(img, torch.ones(4, 4) / 16)
        conv = modulated_conv(torch.randn(2, 64, 4, 4), weight, styles, None, demodulate=False)
    assert torch.equal(reduced, demodulation(weight, styles)) and reduced.dtype == torch.float32
    assert torch.equal(picture, upsample(img, torch.ones(4, 4) / 16))
    assert conv.dtype == torch.bfloat16


def test_a_row_goes_on_from_a_state_to_the_same_bytes(tiny_guide: Guide) -> None:
    config = REDUCED.model_copy(update={"ema": 0.5, "selection": SelectionConfig(k=2, batch_size=2)})
    undisturbed, stopped, resumed = (adaptation(tiny_guide, config) for _ in range(3))
    list(undisturbed), list(islice(stopped, 2))
    resumed.load_state_dict({name: tensor.clone() for name, tensor in stopped.state_dict().items()})
    assert len(list(resumed)) == 1
    before, after = undisturbed.state_dict(), resumed.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert {tensor.dtype for name, tensor in after.items() if name.startswith(("weights", "optimizer", "average"))} == {
        torch.float32
    }


def test_the_search_for_layers_is_reduced_too(tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    training = adaptation(tiny_guide, REDUCED.model_copy(update={"selection": SelectionConfig(k=2, batch_size=2)}))
    draw = training.target.synthesis.from_styles

    def watched(*args: object) -> Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return draw(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(training.target.synthesis, "from_styles", watched)
    next(iter(training))
    assert seen == [True, True]  # the search, the step


def test_rows_of_other_precision_share_no_sources(tiny_guide: Guide) -> None:
    known, source = SourceEmbeddings(), tiny_generator()
    pair = PromptPair("photo", "sketch")
    for config in (EXACT, REDUCED):
        training = Adaptation(source, copy.deepcopy(source), tiny_guide, pair, config, 0, None, known)
        list(training)
        assert training.tally.known == 0
