"""Muon: momentum whose matrices are made orthogonal before they are applied.

Jordan 2024 (https://kellerjordan.github.io/posts/muon/). A matrix of the network moves by lr x U V^T of its
averaged gradient U S V^T, approximated by a quintic Newton-Schulz iteration; convolutions count as matrices
[out, in x height x width]. The update is scaled to the root mean square that Adam's has, so one learning rate
means the same in both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # a X + (b X X^T + c (X X^T)^2) X, from the source above
ITERATIONS = 5
ADAM_RMS = 0.2  # typical root mean square of Adam's update per unit of learning rate


def orthogonalised(matrix: Tensor) -> Tensor:
    """Nearly U V^T of the matrix U S V^T; singular values end in about [0.7, 1.2]."""
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = (x / (x.norm() + 1e-12)).bfloat16()
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    x = x.float()
    return x.T if matrix.shape[0] > matrix.shape[1] else x


class Muon(torch.optim.Optimizer):
    """For weights of two and more dimensions; give the rest to Adam."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update; parameters without a gradient stay."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                average = self.state[p].setdefault("average", torch.zeros_like(p))
                average.lerp_(p.grad, 1 - group["momentum"])
                ahead = p.grad.lerp(average, group["momentum"]).flatten(1)  # Nesterov's momentum
                scale = ADAM_RMS * math.sqrt(max(ahead.shape))
                p.add_(orthogonalised(ahead).reshape(p.shape), alpha=-group["lr"] * scale)
