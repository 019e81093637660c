from __future__ import annotations

import copy
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.errors import StateError
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.adapt.loop import Adaptation
from tests.conftest import tiny_generator

CONFIGS = {
    "all layers": AdaptConfig(iterations=5),
    "auto": AdaptConfig(iterations=5, selection=SelectionConfig(k="auto", batch_size=2)),
    "one layer": AdaptConfig(iterations=5, selection=SelectionConfig(k=1, batch_size=2)),
    "averaged": AdaptConfig(iterations=5, ema=0.9, decay="cosine", style_mixing=0.5, train="convs+rgb"),
    "rgb": AdaptConfig(iterations=5, train="rgb", global_weight=0.5),
    "against collapse": AdaptConfig(
        iterations=5,
        batch_size=3,
        in_domain_angle_weight=2.0,
        moments_weight=0.5,
        patch_directional_weight=0.5,
        elastic_weight=10.0,
        selection=SelectionConfig(k=1, batch_size=2, every=3),
    ),
}


def fresh(guide: Guide, config: AdaptConfig, micro_batch: int | None = None) -> Adaptation:
    source = tiny_generator()
    return Adaptation(source, copy.deepcopy(source), guide, PromptPair("photo", "sketch"), config, 0, micro_batch)


def stopped(guide: Guide, config: AdaptConfig, steps: int, micro_batch: int | None = None) -> dict[str, Tensor]:
    """The state after some steps, as another process would read it."""
    training = fresh(guide, config, micro_batch)
    list(islice(training, steps))
    return {name: tensor.clone() for name, tensor in training.state_dict().items()}


def contents(training: Adaptation) -> dict[str, Tensor]:
    return {**training.target.state_dict(), **training.state_dict()}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("steps", [1, 4, 5])
def test_a_run_that_goes_on_from_a_state_ends_with_the_same_bytes(
    tiny_guide: Guide, tmp_path: Path, name: str, steps: int
) -> None:
    micro_batch = 1 if name == "auto" else None
    undisturbed = fresh(tiny_guide, CONFIGS[name], micro_batch)
    assert len(list(undisturbed)) == 5
    save_file(stopped(tiny_guide, CONFIGS[name], steps, micro_batch), tmp_path / "state.safetensors")

    resumed = fresh(tiny_guide, CONFIGS[name], micro_batch)
    resumed.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert [step.index for step in resumed] == list(range(steps, 5))
    expected, found = contents(undisturbed), contents(resumed)
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    assert [step.layers for step in resumed.trace] == [step.layers for step in undisturbed.trace]
    assert not any(parameter.requires_grad for parameter in resumed.target.parameters())


def test_layers_that_were_never_trained_have_no_optimizer_state(tiny_guide: Guide) -> None:
    state = stopped(tiny_guide, CONFIGS["one layer"], 1)
    trained = {name.removeprefix("optimizer.synthesis.") for name in state if name.startswith("optimizer.")}
    assert len(trained) == 6  # three tensors each of a weight and a bias
    chosen = state["trace.layers"][0].nonzero().flatten().tolist()
    convs = [layer.name for layer in tiny_generator().conv_layers()]
    assert {".".join(name.split(".")[:2]) for name in trained} == {convs[index] for index in chosen}


def test_the_smaller_micro_batch_of_state_and_argument_counts(tiny_guide: Guide) -> None:
    state = stopped(tiny_guide, CONFIGS["all layers"], 1, micro_batch=4)
    for argument, expected in ((None, 4), (2, 2)):
        resumed = fresh(tiny_guide, CONFIGS["all layers"], argument)
        resumed.load_state_dict(state)
        assert resumed.micro_batch.size == expected


DAMAGES = [
    "missing",
    "unknown",
    "shape",
    "type",
    "half an optimizer",
    "trace",
    "too many steps",
    "a trace of one number",
    "rng",
    "rng of noughts",
    "micro_batch",
]


def damaged(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    weight, steps = "weights.synthesis.b4.conv1.weight", state["trace.loss"]
    changes: dict[str, dict[str, Tensor | None]] = {
        "missing": {weight: None},
        "unknown": {"weights.synthesis.b4.conv9.weight": state[weight]},
        "shape": {weight: state[weight][:1]},
        "type": {weight: state[weight].double()},
        "half an optimizer": {"optimizer.synthesis.b4.conv1.weight.step": None},
        "trace": {"trace.loss": steps[:1]},
        "rng": {"rng": state["rng"][:-1]},
        "too many steps": {name: torch.cat([state[name]] * 3) for name in state if name.startswith("trace.")},
        "a trace of one number": {name: state[name][0] for name in state if name.startswith("trace.")},
        "micro_batch": {"micro_batch": torch.tensor(0)},
        "rng of noughts": {"rng": torch.zeros_like(state["rng"])},
    }
    changed = {**state, **changes[name]}
    return {name: tensor for name, tensor in changed.items() if tensor is not None}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_state_that_does_not_fit_changes_nothing(tiny_guide: Guide, name: str) -> None:
    state = damaged(stopped(tiny_guide, CONFIGS["all layers"], 2), name)
    training = fresh(tiny_guide, CONFIGS["all layers"])
    before = {name: tensor.clone() for name, tensor in contents(training).items()}
    with pytest.raises(StateError, match=r"^state: .*; start over"):
        training.load_state_dict(state)
    after = contents(training)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_state_of_another_generator_is_refused(tiny_guide: Guide) -> None:
    state = stopped(tiny_guide, CONFIGS["rgb"], 1)
    with pytest.raises(StateError, match=r"tensors do not fit this adaptation \(first: '.*'\); start over"):
        fresh(tiny_guide, CONFIGS["all layers"]).load_state_dict(state)
