"""The search for layers by the training batch: the same latents, no number drawn, the ranking worked out by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.latents import seeded_rng
from nada.methods.adapt import layer_selection
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.adapt.layer_selection import select_layers
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.method import Adapt
from nada.methods.adapt.step_inputs import RenderInputs, StepInputs, draw_step_inputs
from nada.micro_batch import MicroBatch
from tests.conftest import tiny_generator

SHARED = SelectionConfig(k=2, latents="batch", batch_size=7)
CONFIG = AdaptConfig(iterations=3, batch_size=3, selection=SHARED)


def adaptation(guide: Guide, config: AdaptConfig = CONFIG) -> Adaptation:
    source = tiny_generator()
    return Adaptation(source, copy.deepcopy(source), guide, PromptPair("photo", "sketch"), config, 0)


def test_layers_are_ranked_by_the_batch_as_its_target_is_seen(tiny_guide: Guide) -> None:
    generator, text = tiny_generator(), tiny_guide.text_embeddings("sketch")
    batch = draw_step_inputs(CONFIG, generator, tiny_guide, seeded_rng(0))
    chosen = select_layers(generator, tiny_guide, text, SHARED, seeded_rng(1), MicroBatch(3), batch)

    ws = batch.ws.clone().requires_grad_()
    (emb,) = tiny_guide.embed_images(generator.synthesis(ws, noise=batch.target.noise), batch.target.views)
    (1 - (emb @ text[0]).mean()).backward()
    assert ws.grad is not None
    movement = ws.grad.abs().mean(dim=(0, 2))
    rows = [layer.ws_index for layer in generator.conv_layers()]
    assert [layer.ws_index for layer in chosen] == sorted(sorted(rows, key=lambda row: -float(movement[row]))[:2])


def test_a_step_searches_by_the_latents_that_it_trains_on(tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[Tensor] = []
    gradient = layer_selection.gradient_of_w_plus

    def watched(
        generator: object, guide: object, emb: object, w_plus: Tensor, seen: RenderInputs, *rest: object
    ) -> Tensor:
        searched.extend([w_plus.detach().clone(), *seen.noise])
        return gradient(generator, guide, emb, w_plus, seen, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(layer_selection, "gradient_of_w_plus", watched)
    training = adaptation(tiny_guide)
    trained: list[Tensor] = []
    losses = training.losses

    def learned(inputs: StepInputs) -> dict[str, Tensor]:
        trained.extend([inputs.ws, *inputs.target.noise])
        return losses(inputs)

    monkeypatch.setattr(training, "losses", learned)
    list(training)
    assert len(trained) == len(searched) == 3 * 6 and all(map(torch.equal, searched, trained))


def test_nothing_is_drawn_for_the_search(tiny_guide: Guide) -> None:
    searching, whole = (
        adaptation(tiny_guide),
        adaptation(tiny_guide, CONFIG.model_copy(update={"selection": SelectionConfig()})),
    )
    list(searching), list(whole)
    assert torch.equal(searching.rng.get_state(), whole.rng.get_state())
    assert torch.equal(searching.trace[0].loss, whole.trace[0].loss)  # before anything is trained
    assert all(len(step.layers) == 2 for step in searching.trace)


def test_several_steps_of_the_search_see_the_batch_the_same_way(tiny_guide: Guide) -> None:
    twice = SHARED.model_copy(update={"iterations": 2})
    searching = adaptation(tiny_guide, CONFIG.model_copy(update={"selection": twice}))
    once = adaptation(tiny_guide)
    list(searching), list(once)
    assert torch.equal(searching.rng.get_state(), once.rng.get_state())


def test_the_batch_of_a_search_that_is_not_drawn_takes_no_memory(tiny_guide: Guide) -> None:
    generator = tiny_generator()
    assert adaptation(tiny_guide).micro_batch.size == 3
    fresh = CONFIG.model_copy(update={"selection": SHARED.model_copy(update={"latents": "fresh"})})
    assert adaptation(tiny_guide, fresh).micro_batch.size == 7
    assert [Adapt().graph_bytes(config, generator.config, 10, None) for config in (CONFIG, fresh)] == [30, 70]
