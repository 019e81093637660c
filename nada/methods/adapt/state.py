"""The state of an adaptation between two steps, as named tensors: all that the rest of the run depends on.

    weights.<name>                   the weights in training
    average.<name>                   their moving average, where there is one
    optimizer.<name>.<part>          Adam's step, exp_avg and exp_avg_sq; absent for what was never trained
    rng                              of latents, noise and views
    micro_batch                      samples at once, at most; it only ever falls
    trace.loss, trace.<term>  [n]    of the n steps so far
    trace.layers              [n, K] which of the K convolutions each step trained

<name> is that of `nada.methods.adapt.parametrisation`: of a weight, its name in the generator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from nada.errors import StateError
from nada.generators.protocol import Generator
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.parametrisation import Parametrisation
from nada.methods.adapt.trace import TrainingStep
from nada.micro_batch import MicroBatch

ADAM_PARTS = ("step", "exp_avg", "exp_avg_sq")


class Trainable(Protocol):
    """What a state is taken of; `nada.methods.adapt.loop.Adaptation` is one."""

    target: Generator
    config: AdaptConfig
    parameters: Parametrisation
    optimizer: torch.optim.Adam
    rng: torch.Generator
    micro_batch: MicroBatch
    trace: list[TrainingStep]

    @property
    def loss_weights(self) -> dict[str, float]:
        """Of every term."""


def capture(adaptation: Trainable) -> dict[str, Tensor]:
    """The state, on the CPU. Nothing is copied that lies there already: write it before the next step."""
    trace = adaptation.trace
    tensors: dict[str, Tensor] = {f"weights.{name}": weight for name, weight in adaptation.parameters.named()}
    tensors |= {f"average.{name}": average for name, average in _averages(adaptation)}
    for name, weight in adaptation.parameters.named():
        trained = adaptation.optimizer.state.get(weight, {})
        tensors |= {f"optimizer.{name}.{part}": tensor for part, tensor in trained.items()}
    tensors |= {"rng": adaptation.rng.get_state(), "micro_batch": torch.tensor(adaptation.micro_batch.size)}
    tensors["trace.loss"] = _column([step.loss for step in trace])
    for term in adaptation.loss_weights:
        tensors[f"trace.{term}"] = _column([step.terms[term] for step in trace])
    convs = _convolutions(adaptation)
    layers = [[conv in step.layers for conv in convs] for step in trace]
    tensors["trace.layers"] = torch.tensor(layers, dtype=torch.bool).reshape(len(trace), len(convs))
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


@torch.no_grad()
def restore(adaptation: Trainable, tensors: dict[str, Tensor]) -> None:
    """Put a captured state into an adaptation that was built from the same arguments.

    Raises:
        StateError: a tensor is missing, unknown, or of another shape or type; nothing was changed.
    """
    _check(adaptation, tensors)
    packed = adaptation.optimizer.state_dict()
    packed["state"] = {}
    for index, (name, weight) in enumerate(adaptation.parameters.named()):
        weight.copy_(tensors[f"weights.{name}"])
        if f"optimizer.{name}.step" in tensors:
            packed["state"][index] = {part: tensors[f"optimizer.{name}.{part}"].clone() for part in ADAM_PARTS}
    adaptation.optimizer.load_state_dict(packed)
    for name, average in _averages(adaptation):
        average.copy_(tensors[f"average.{name}"])
    adaptation.rng.set_state(tensors["rng"])
    adaptation.micro_batch.size = min(adaptation.micro_batch.size, int(tensors["micro_batch"]))
    adaptation.trace[:] = _steps(adaptation, tensors)


def _steps(adaptation: Trainable, tensors: dict[str, Tensor]) -> Iterator[TrainingStep]:
    convs = _convolutions(adaptation)
    for index, loss in enumerate(tensors["trace.loss"]):
        terms = {term: tensors[f"trace.{term}"][index] for term in adaptation.loss_weights}
        trained = tensors["trace.layers"][index].tolist()
        yield TrainingStep(index, loss, terms, tuple(conv for conv, was in zip(convs, trained, strict=True) if was))


def _check(adaptation: Trainable, tensors: dict[str, Tensor]) -> None:
    """Every tensor that must be there, none that must not, all of their shapes and types."""
    ours = capture(adaptation)
    expected = {name: _kind(tensor) for name, tensor in ours.items() if not name.startswith("optimizer.")}
    for name, weight in adaptation.parameters.named():
        if any(f"optimizer.{name}.{part}" in tensors for part in ADAM_PARTS):
            expected |= {f"optimizer.{name}.{part}": _kind(weight) for part in ADAM_PARTS}
            expected[f"optimizer.{name}.step"] = _kind(torch.tensor(0.0))
    given = {name: _kind(tensor) for name, tensor in tensors.items()}
    num_steps = given.get("trace.loss", ((0,), None))[0][:1]
    for name, (shape, dtype) in expected.items():
        if name.startswith("trace."):
            expected[name] = ((*num_steps, *shape[1:]), dtype)
    wrong = sorted(name for name in {*expected, *given} if expected.get(name) != given.get(name))
    if wrong:
        raise StateError(f"state: {len(wrong)} tensors do not fit this adaptation (first: {wrong[0]!r}); start over")
    if not num_steps or num_steps[0] > adaptation.config.iterations:
        raise StateError(f"state: a trace {list(num_steps)} of {adaptation.config.iterations} steps; start over")
    if tensors["micro_batch"] < 1:
        raise StateError(f"state: a micro-batch of {int(tensors['micro_batch'])}; start over")
    try:
        torch.Generator().set_state(tensors["rng"])
    except RuntimeError as err:
        raise StateError(f"state: no random number generator's ({err}); start over") from err


def _averages(adaptation: Trainable) -> list[tuple[str, Tensor]]:
    names = [name for name, _ in adaptation.parameters.named()]
    return list(zip(names, adaptation.parameters.average.tensors, strict=False))


def _convolutions(adaptation: Trainable) -> list[str]:
    return [layer.name for layer in adaptation.target.conv_layers()]


def _column(scalars: list[Tensor]) -> Tensor:
    return torch.stack([scalar.cpu() for scalar in scalars]) if scalars else torch.empty(0)  # restored ones lie there


def _kind(tensor: Tensor) -> tuple[tuple[int, ...], torch.dtype]:
    return tuple(tensor.shape), tensor.dtype
