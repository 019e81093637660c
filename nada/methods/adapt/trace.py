"""What a row's training leaves for readers: a line a step."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor


@dataclass(frozen=True)
class TrainingStep:
    """What happened in one step; tensors are detached, so reading them costs a device sync only when read."""

    index: int
    loss: Tensor
    terms: dict[str, Tensor]
    layers: tuple[str, ...]


def write_trace(path: Path, trace: Sequence[TrainingStep], num_layers: int) -> None:
    """One line a step: its loss, the terms of the loss, the layers that it trained (`all`, or their names)."""
    terms = list(trace[0].terms)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", "loss", *terms, "layers"])
        for step in trace:
            values = [f"{value.item():.6g}" for value in (step.loss, *(step.terms[name] for name in terms))]
            layers = "all" if len(step.layers) == num_layers else " ".join(step.layers)
            writer.writerow([step.index + 1, *values, layers])
