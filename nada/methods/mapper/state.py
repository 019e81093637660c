"""The state of a mapper's training between two steps, as named tensors: all that the rest of the run depends on.

weights.<name>            the networks in training
optimizer.<name>.<part>   Adam's step, exp_avg and exp_avg_sq
rng                       of latents and views
micro_batch               samples at once, at most; it only ever falls
trace.<term>         [n]  of the n steps so far

<name> is the parameter's name in the mapper.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nada.errors import StateError
from nada.methods.mapper.loop import MapperTraining

ADAM_PARTS = ("step", "exp_avg", "exp_avg_sq")


def capture(training: MapperTraining) -> dict[str, Tensor]:
    """The state, on the CPU. Nothing is copied that lies there already: write it before the next step."""
    tensors: dict[str, Tensor] = {
        "rng": training.rng.get_state(),
        "micro_batch": torch.tensor(training.micro_batch.size),
    }
    for name, weight in training.mapper.named_parameters():
        tensors[f"weights.{name}"] = weight
        adam = training.optimizer.state.get(weight, {})
        tensors |= {f"optimizer.{name}.{part}": tensor for part, tensor in adam.items()}
    for term in training.terms:
        column = [step[term].cpu() for step in training.trace]  # restored ones lie there already
        tensors[f"trace.{term}"] = torch.stack(column) if column else torch.empty(0)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


@torch.no_grad()
def restore(training: MapperTraining, tensors: dict[str, Tensor]) -> None:
    """Put a captured state into a training that was built from the same arguments.

    Raises:
        StateError: a tensor is missing, unknown, or of another shape or type; nothing was changed.
    """
    num_steps = _check(training, tensors)
    packed = training.optimizer.state_dict()
    packed["state"] = {}
    for index, (name, weight) in enumerate(training.mapper.named_parameters()):
        weight.copy_(tensors[f"weights.{name}"])
        if num_steps:
            packed["state"][index] = {part: tensors[f"optimizer.{name}.{part}"].clone() for part in ADAM_PARTS}
    training.optimizer.load_state_dict(packed)
    training.rng.set_state(tensors["rng"])
    training.micro_batch.size = min(training.micro_batch.size, int(tensors["micro_batch"]))
    training.trace[:] = [{term: tensors[f"trace.{term}"][step] for term in training.terms} for step in range(num_steps)]


def _check(training: MapperTraining, tensors: dict[str, Tensor]) -> int:
    """Every tensor that must be there, none that must not, all of their shapes and types; returns the steps done."""
    weights = dict(training.mapper.named_parameters())
    num_steps = len(tensors["trace.loss"]) if tensors.get("trace.loss", torch.tensor(0.0)).ndim == 1 else 0
    expected = {f"weights.{name}": _kind(weight) for name, weight in weights.items()}
    for name, weight in weights.items() if num_steps else ():
        expected |= {f"optimizer.{name}.{part}": _kind(weight) for part in ADAM_PARTS}
        expected[f"optimizer.{name}.step"] = _kind(torch.tensor(0.0))
    expected |= {f"trace.{term}": ((num_steps,), torch.float32) for term in training.terms}
    expected |= {"rng": _kind(training.rng.get_state()), "micro_batch": _kind(torch.tensor(1))}
    given = {name: _kind(tensor) for name, tensor in tensors.items()}
    if wrong := sorted(name for name in {*expected, *given} if expected.get(name) != given.get(name)):
        raise StateError(f"state: {len(wrong)} tensors do not fit this mapper (first: {wrong[0]!r}); start over")
    if num_steps > training.config.iterations or tensors["micro_batch"] < 1:
        raise StateError(f"state: {num_steps} steps of {training.config.iterations}; start over")
    try:
        torch.Generator().set_state(tensors["rng"])
    except RuntimeError as err:
        raise StateError(f"state: no random number generator's ({err}); start over") from err
    return num_steps


def _kind(tensor: Tensor) -> tuple[tuple[int, ...], torch.dtype]:
    return tuple(tensor.shape), tensor.dtype
