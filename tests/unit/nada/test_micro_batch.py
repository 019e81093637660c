from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.config import ViewsConfig
from nada.errors import OutOfMemoryError
from nada.generators.stylegan2 import SynthesisNetwork
from nada.latents import seeded_rng
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.adapt.layer_selection import select_layers
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.step_inputs import draw_step_inputs
from nada.micro_batch import MicroBatch
from tests.conftest import tiny_generator

PAIR = PromptPair("photo", "sketch")
CPU_MESSAGE = "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: tried to allocate 9"
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError(CPU_MESSAGE),
    RuntimeError("could not create a primitive"),  # oneDNN's
    MemoryError(),
]
BUSY = AdaptConfig(
    iterations=3,
    batch_size=5,
    style_mixing=0.5,
    global_weight=0.5,
    train="convs+rgb",
    selection=SelectionConfig(k=2, batch_size=6, iterations=2),
)


def adaptation(guide: Guide, config: AdaptConfig, micro_batch: int | None = None) -> Adaptation:
    source = tiny_generator()
    return Adaptation(source, copy.deepcopy(source), guide, PAIR, config, 0, micro_batch)


def run(guide: Guide, config: AdaptConfig, micro_batch: int | None = None) -> Adaptation:
    finished = adaptation(guide, config, micro_batch)
    assert len(list(finished)) == config.iterations
    return finished


def same_bytes(first: Adaptation, second: Adaptation) -> bool:
    before, after = (run.target.state_dict() for run in (first, second))
    losses = [torch.stack([step.loss for step in run.trace]) for run in (first, second)]
    return torch.equal(*losses) and all(torch.equal(before[name], after[name]) for name in before)


def fail_above(limit: int, patch: pytest.MonkeyPatch, error: Exception = ERRORS[0]) -> list[int]:
    """Let no more than `limit` pictures be rendered at once; returns the sizes that were tried, in order."""
    return fail_when(lambda size, _: size > limit, patch, error)


def fail_when(fails: Callable[[int, int], bool], patch: pytest.MonkeyPatch, error: Exception = ERRORS[0]) -> list[int]:
    render, sizes = SynthesisNetwork.forward, []

    def forward(self: SynthesisNetwork, ws: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        sizes.append(len(ws))
        if fails(len(ws), len(sizes)):
            raise error
        return render(self, ws, *args, **kwargs)

    patch.setattr(SynthesisNetwork, "forward", forward)
    return sizes


@pytest.mark.parametrize("size", [1, 2, 3])
def test_gradients_of_micro_batches_are_those_of_the_batch(tiny_guide: Guide, size: int) -> None:
    tiny_guide = Guide(tiny_guide.models, [0.7], ViewsConfig(crop=0.2, flip=True, noise=0.1))
    training = adaptation(tiny_guide, BUSY)
    learnable = training.parameters.learnable
    training.parameters.train_only(training.target.conv_layers())
    inputs = draw_step_inputs(BUSY, training.source, tiny_guide, seeded_rng(0))
    totals, gradients = [], []
    for micro_batch in (5, size):
        terms = MicroBatch(micro_batch).backward("training", inputs, training.losses, training.optimizer)
        totals.append(torch.stack([terms[name] for name in ("loss", "directional", "global")]))
        gradients.append(torch.cat([weight.grad.flatten() for weight in learnable if weight.grad is not None]))
    torch.testing.assert_close(totals[1], totals[0], rtol=1e-5, atol=0)
    assert (gradients[1] - gradients[0]).norm() < 1e-5 * gradients[0].norm()
    assert len(gradients[0]) == sum(weight.numel() for weight in learnable)


def test_random_numbers_do_not_depend_on_the_micro_batch(tiny_guide: Guide) -> None:
    whole, split = run(tiny_guide, BUSY), run(tiny_guide, BUSY, micro_batch=2)
    assert torch.equal(whole.rng.get_state(), split.rng.get_state())
    for before, after in zip(whole.trace, split.trace, strict=True):
        torch.testing.assert_close(after.loss, before.loss, rtol=1e-2, atol=0)
    torch.testing.assert_close(split.trace[0].loss, whole.trace[0].loss, rtol=1e-5, atol=0)


def test_a_micro_batch_as_large_as_the_batch_changes_no_bit(tiny_guide: Guide) -> None:
    assert same_bytes(run(tiny_guide, BUSY), run(tiny_guide, BUSY, micro_batch=100))


def test_selection_in_micro_batches_chooses_the_same_layers(tiny_guide: Guide) -> None:
    generator, text = tiny_generator(), tiny_guide.text_embeddings("sketch")
    config = SelectionConfig(k=2, batch_size=6, iterations=2)
    chosen = [select_layers(generator, tiny_guide, text, config, seeded_rng(0), MicroBatch(size)) for size in (6, 4, 1)]
    assert chosen[0] == chosen[1] == chosen[2]


def test_no_more_pictures_than_the_micro_batch_are_rendered_at_once(
    tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = fail_above(100, monkeypatch)
    run(tiny_guide, BUSY, micro_batch=2)
    assert max(sizes) == 2


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "cpu", "onednn", "python"])
def test_a_step_that_runs_out_of_memory_is_done_again_in_halves(
    tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    undisturbed = run(tiny_guide, BUSY, micro_batch=2)
    sizes = fail_above(2, monkeypatch, error)
    disturbed = run(tiny_guide, BUSY)
    assert sizes[:3] == [6, 3, 2]
    assert disturbed.micro_batch.size == 2
    assert same_bytes(undisturbed, disturbed)


def test_what_a_failed_attempt_had_accumulated_is_not_counted_twice(
    tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = AdaptConfig(iterations=2, batch_size=4)
    undisturbed = run(tiny_guide, config, micro_batch=1)
    sizes = fail_when(lambda _, call: call == 3, monkeypatch)  # source and target of one half are rendered by then
    disturbed = run(tiny_guide, config, micro_batch=2)
    assert sizes == [2, 2, 2] + [1] * 16
    assert same_bytes(undisturbed, disturbed)


def test_one_picture_that_does_not_fit_ends_the_row(tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = fail_above(0, monkeypatch, RuntimeError(CPU_MESSAGE))
    training = adaptation(tiny_guide, AdaptConfig(batch_size=5))
    message = r"^training: out of memory even with one picture at a time \(.*9\); use fewer night.workers, a smaller"
    with pytest.raises(OutOfMemoryError, match=message):
        next(iter(training))
    assert sizes == [5, 3, 2, 1]


def test_other_errors_are_not_taken_for_lack_of_memory(tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_above(2, monkeypatch, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run(tiny_guide, BUSY)


def test_slices_that_do_not_fit_are_cut_and_the_rest_follows() -> None:
    seen = []

    def work(part: slice) -> int:
        if part.stop - part.start > 3:
            raise MemoryError
        seen.append((part.start, part.stop))
        return part.start

    assert list(MicroBatch(8).each("judging", 7, work)) == [0, 2, 4, 6]
    assert seen == [(0, 2), (2, 4), (4, 6), (6, 7)]


def test_a_real_refusal_of_the_allocator_is_recognised() -> None:
    sizes = []

    def work(size: int) -> Tensor:
        sizes.append(size)
        return torch.empty(2**58 if size > 1 else 1)  # more than any address space

    assert MicroBatch(4).fit("training", 4, work).numel() == 1
    assert sizes == [4, 2, 1]
