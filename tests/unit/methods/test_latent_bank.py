"""A bank of latents: what is met again is the same, is not rendered again, and everything else stays fresh."""

from __future__ import annotations

import copy
from itertools import islice

import pytest
import torch
from pydantic import ValidationError

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.config import ViewsConfig
from nada.latents import seeded_rng
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.method import Adapt
from nada.methods.adapt.objective.source_embeddings import SourceEmbeddings
from nada.methods.adapt.step_inputs import StepInputs, bank_rng, draw_step_inputs
from tests.conftest import tiny_generator

BANK = AdaptConfig(iterations=5, batch_size=2, latent_bank=4, style_mixing=0.5, patch_directional_weight=0.5)
CHOOSING = SelectionConfig(k=2, batch_size=2)


@pytest.fixture
def guide(tiny_guide: Guide) -> Guide:
    return Guide(tiny_guide.models, tiny_guide.weights, ViewsConfig(crop=0.2, flip=True, noise=0.1))


def adaptation(
    guide: Guide,
    config: AdaptConfig = BANK,
    seed: int = 0,
    micro_batch: int | None = None,
    known: SourceEmbeddings | None = None,
) -> Adaptation:
    source = tiny_generator()
    pair = PromptPair("photo", "sketch")
    return Adaptation(source, copy.deepcopy(source), guide, pair, config, seed, micro_batch, known)


def drawn(guide: Guide, index: int, seed: int = 0, config: AdaptConfig = BANK) -> StepInputs:
    fresh = seeded_rng(1000 + index)
    return draw_step_inputs(config, tiny_generator(), guide, fresh, bank_rng(config, seed, index))


def weights(training: Adaptation) -> dict[str, torch.Tensor]:
    return training.parameters.snapshot()


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_every_second_step_meets_the_same_latents_and_sees_the_source_the_same_way(guide: Guide) -> None:
    first, other, again = (drawn(guide, index) for index in (0, 1, 2))
    assert torch.equal(first.ws, again.ws) and first.drawn == again.drawn
    assert all(map(torch.equal, first.source.noise, again.source.noise))
    assert first.source.views.theta is not None and again.source.views.theta is not None
    assert torch.equal(first.source.views.theta, again.source.views.theta)
    assert not torch.equal(first.ws, other.ws) and first.drawn != other.drawn


def test_the_target_is_seen_with_fresh_noise_and_views(guide: Guide) -> None:
    first, again = drawn(guide, 0), drawn(guide, 2)
    assert not any(map(torch.equal, first.target.noise, again.target.noise))
    assert first.target.views.noise is not None and again.target.views.noise is not None
    assert not torch.equal(first.target.views.noise, again.target.views.noise)
    assert first.patches is not None and again.patches is not None
    assert torch.equal(first.patches[0].theta, again.patches[1].theta)  # type: ignore[arg-type]  # one place for both


def test_another_seed_has_another_bank(guide: Guide) -> None:
    assert not torch.equal(drawn(guide, 0).ws, drawn(guide, 0, seed=1).ws)


@pytest.mark.parametrize(("micro_batch", "a_batch"), [(None, 1), (1, 2)])
def test_the_source_is_rendered_once_for_each_batch_of_the_bank(
    guide: Guide, monkeypatch: pytest.MonkeyPatch, micro_batch: int | None, a_batch: int
) -> None:
    training, seen = adaptation(guide, micro_batch=micro_batch), list[str]()
    see = training.see_source
    monkeypatch.setattr(training, "see_source", lambda inputs: seen.append(inputs.drawn) or see(inputs))  # type: ignore
    list(training)
    assert len(seen) == 2 * a_batch and len(set(seen)) == 2
    assert (training.tally.asked, training.tally.known) == (5 * a_batch, 3 * a_batch)


def test_what_is_known_changes_no_bit(guide: Guide) -> None:
    remembering, forgetting = adaptation(guide), adaptation(guide, known=SourceEmbeddings(most_bytes=0))
    list(remembering), list(forgetting)
    assert (remembering.tally.known, forgetting.tally.known) == (3, 0)
    assert equal(weights(remembering), weights(forgetting))


def test_rows_that_draw_otherwise_share_a_bank(guide: Guide) -> None:
    """A search for layers draws numbers between the steps; without a bank it would see sources of its own."""
    known = SourceEmbeddings()
    list(adaptation(guide, known=known))
    later = adaptation(guide, BANK.model_copy(update={"selection": CHOOSING}), known=known)
    list(later)
    assert later.tally.known == later.tally.asked == 5


@pytest.mark.parametrize("micro_batch", [None, 1])
@pytest.mark.parametrize("latents", ["fresh", "batch"])
def test_a_row_that_goes_on_from_a_state_ends_with_the_same_bytes(
    guide: Guide, micro_batch: int | None, latents: str
) -> None:
    config = BANK.model_copy(update={"selection": CHOOSING.model_copy(update={"latents": latents})})
    undisturbed, stopped = (adaptation(guide, config, micro_batch=micro_batch) for _ in range(2))
    list(undisturbed), list(islice(stopped, 3))
    resumed = adaptation(guide, config, micro_batch=micro_batch)
    resumed.load_state_dict({name: tensor.clone() for name, tensor in stopped.state_dict().items()})
    assert [step.index for step in resumed] == [3, 4]
    assert equal(resumed.state_dict(), undisturbed.state_dict())


def test_a_bank_that_is_never_met_again_is_doubted() -> None:
    doubts = [Adapt().doubts(AdaptConfig(iterations=10, batch_size=4, latent_bank=size)) for size in (0, 36, 40)]
    assert doubts == [[], [], ["latent_bank: 40 latents for 10 steps of 4; none is met twice"]]


def test_a_bank_of_no_whole_batches_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"latent_bank: 9 latents are no whole batches of 4; use 8, or ano"):
        AdaptConfig(batch_size=4, latent_bank=9)
    with pytest.raises(ValidationError, match=r"latent_bank: 2 latents are no whole batches of 4; use 4, or ano"):
        AdaptConfig(batch_size=4, latent_bank=2)
