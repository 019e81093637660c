"""What adaptation needs of a generator, whatever its family.

Legend: N batch, L style layers, Z and W_DIM latent widths, R resolution in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

NoiseMaps = tuple[Tensor, ...]
"""One map [N, 1, H, W] a convolution, at its resolution; none at all in a family without noise."""

Noise = NoiseMaps | Literal["const", "none"]
"""Per-pixel noise: maps drawn before, the fixed maps stored with the weights, or left out."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One synthesis convolution and the row of `ws` that drives it."""

    name: str
    ws_index: int
    weights: tuple[nn.Parameter, ...]


class Mapping(Protocol):
    """z to ws."""

    def __call__(self, z: Tensor, truncation_psi: float = 1.0) -> Tensor:
        """[N, Z] standard normal -> ws [N, L, W_DIM], pulled towards the mean w by 1 - psi."""


class Synthesis(Protocol):
    """ws to pictures."""

    def __call__(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        """[N, L, W_DIM] -> img [N, 3, R, R], about [-1, 1]."""


class Generator(Protocol):
    """A pretrained generator that can be adapted; implemented by `nada.stylegan2.StyleGAN2`."""

    z_dim: int
    w_dim: int
    num_ws: int
    resolution: int

    @property
    def mapping(self) -> Mapping:
        """z to ws."""

    @property
    def synthesis(self) -> Synthesis:
        """ws to pictures."""

    def draw_noise(self, count: int, rng: torch.Generator) -> NoiseMaps:
        """Fresh noise for N pictures, on the device of `rng`; `synthesis` moves what it uses."""

    def conv_layers(self) -> list[Layer]:
        """The convolutions that layer selection chooses from, lowest resolution first."""

    def rgb_weights(self) -> list[nn.Parameter]:
        """Weights and biases of the toRGB layers."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Every parameter, as in `nn.Module`."""

    def state_dict(self) -> dict[str, Tensor]:
        """Every tensor by name, as in `nn.Module`."""
