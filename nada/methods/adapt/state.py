"""The state of an adaptation between two steps, as named tensors: all that the rest of the run depends on.

    weights.<name>                   the weights in training
    average.<name>                   their moving average, where there is one
    optimizer.<name>.<part>          Adam's step, exp_avg and exp_avg_sq; absent for what was never trained
    rng                              of latents, noise and views
    micro_batch                      samples at once, at most; it only ever falls
    trace.loss, trace.<term>  [n]    of the n steps so far
    trace.layers              [n, K] which of the K convolutions each step trained

<name> is the parameter's name in the generator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nada.errors import StateError

if TYPE_CHECKING:
    from nada.methods.adapt.loop import Adaptation

ADAM_PARTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Step:
    """What happened in one step; tensors are detached, so reading them costs a device sync only when read."""

    index: int
    loss: Tensor
    terms: dict[str, Tensor]
    layers: tuple[str, ...]


def capture(adaptation: Adaptation) -> dict[str, Tensor]:
    """The state, on the CPU. Nothing is copied that lies there already: write it before the next step."""
    trace = adaptation.trace
    tensors: dict[str, Tensor] = {f"weights.{name}": weight for name, weight in trained_weights(adaptation)}
    tensors |= {f"average.{name}": average for name, average in _averages(adaptation)}
    for name, weight in trained_weights(adaptation):
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
def restore(adaptation: Adaptation, tensors: dict[str, Tensor]) -> None:
    """Put a captured state into an adaptation that was built from the same arguments.

    Raises:
        StateError: a tensor is missing, unknown, or of another shape or type; nothing was changed.
    """
    _check(adaptation, tensors)
    packed = adaptation.optimizer.state_dict()
    packed["state"] = {}
    for index, (name, weight) in enumerate(trained_weights(adaptation)):
        weight.copy_(tensors[f"weights.{name}"])
        if f"optimizer.{name}.step" in tensors:
            packed["state"][index] = {part: tensors[f"optimizer.{name}.{part}"].clone() for part in ADAM_PARTS}
    adaptation.optimizer.load_state_dict(packed)
    for name, average in _averages(adaptation):
        average.copy_(tensors[f"average.{name}"])
    adaptation.rng.set_state(tensors["rng"])
    adaptation.micro_batch.size = min(adaptation.micro_batch.size, int(tensors["micro_batch"]))
    adaptation.trace[:] = _steps(adaptation, tensors)


def _steps(adaptation: Adaptation, tensors: dict[str, Tensor]) -> Iterator[Step]:
    convs = _convolutions(adaptation)
    for index, loss in enumerate(tensors["trace.loss"]):
        terms = {term: tensors[f"trace.{term}"][index] for term in adaptation.loss_weights}
        trained = tensors["trace.layers"][index].tolist()
        yield Step(index, loss, terms, tuple(conv for conv, was in zip(convs, trained, strict=True) if was))


def _check(adaptation: Adaptation, tensors: dict[str, Tensor]) -> None:
    """Every tensor that must be there, none that must not, all of their shapes and types."""
    ours = capture(adaptation)
    expected = {name: _kind(tensor) for name, tensor in ours.items() if not name.startswith("optimizer.")}
    for name, weight in trained_weights(adaptation):
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
    if not 1 <= num_steps[0] <= adaptation.config.iterations:
        raise StateError(f"state: {num_steps[0]} steps of {adaptation.config.iterations}; start over")
    if tensors["micro_batch"] < 1:
        raise StateError(f"state: a micro-batch of {int(tensors['micro_batch'])}; start over")
    try:
        torch.Generator().set_state(tensors["rng"])
    except RuntimeError as err:
        raise StateError(f"state: no random number generator's ({err}); start over") from err


def trained_weights(adaptation: Adaptation) -> list[tuple[str, nn.Parameter]]:
    """Every weight that an adaptation may train, with its name in the generator."""
    names = {parameter: name for name, parameter in adaptation.target.named_parameters()}
    return [(names[weight], weight) for weight in adaptation.candidates]


def _averages(adaptation: Adaptation) -> list[tuple[str, Tensor]]:
    names = [name for name, _ in trained_weights(adaptation)]
    return list(zip(names, adaptation.average.tensors, strict=False))


def _convolutions(adaptation: Adaptation) -> list[str]:
    return [layer.name for layer in adaptation.target.conv_layers()]


def _column(scalars: list[Tensor]) -> Tensor:
    return torch.stack(scalars) if scalars else torch.empty(0)


def _kind(tensor: Tensor) -> tuple[tuple[int, ...], torch.dtype]:
    return tuple(tensor.shape), tensor.dtype
