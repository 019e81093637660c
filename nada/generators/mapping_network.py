"""What the StyleGAN families share: the mapping network, its layer, and the frame of the whole.

Legend: N batch, L style layers, Z and W_DIM latent widths.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nada.generators.protocol import Layer, NetworkConfig, Noise, NoiseMaps, StyleLayer
from nada.generators.stylegan2_ops import leaky_relu

if TYPE_CHECKING:
    from nada.generators.style_space import StyleSynthesis

MAPPING_LR_MULTIPLIER = 0.01  # the mapping learns 100 times slower than the rest
Z_EPS = 1e-8


class FullyConnected(nn.Module):
    """Linear layer with equalised learning rate: weights are stored at unit variance and scaled when used."""

    def __init__(self, fan_in: int, fan_out: int, bias: float = 0.0, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((fan_out,), bias))
        self.weight_gain = lr_multiplier / math.sqrt(fan_in)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class MappingNetwork(nn.Module):
    """z [N, Z] -> ws [N, L, W_DIM], with truncation towards the mean w."""

    w_avg: Tensor

    def __init__(self, z_dim: int, w_dim: int, num_ws: int, num_layers: int) -> None:
        super().__init__()
        self.num_ws = num_ws
        self.num_layers = num_layers
        widths = [z_dim] + [w_dim] * num_layers
        for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
            self.add_module(f"fc{i}", FullyConnected(fan_in, fan_out, lr_multiplier=MAPPING_LR_MULTIPLIER))
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def to_w(self, z: Tensor) -> Tensor:
        """z [N, Z] -> w [N, W_DIM], not truncated."""
        x = z * (z.square().mean(dim=1, keepdim=True) + Z_EPS).rsqrt()
        for i in range(self.num_layers):
            x = leaky_relu(self.get_submodule(f"fc{i}")(x))
        return x

    def forward(self, z: Tensor, truncation_psi: float = 1.0) -> Tensor:
        w = self.to_w(z)
        if truncation_psi != 1.0:
            w = self.w_avg.lerp(w, truncation_psi)
        return w[:, None].expand(-1, self.num_ws, -1)


class MappedNetwork(nn.Module, ABC):
    """A generator of two parts, `mapping` and `synthesis`; see `nada.generators.protocol.Generator`."""

    config: NetworkConfig
    synthesis: StyleSynthesis

    def __init__(self, config: NetworkConfig, synthesis: StyleSynthesis) -> None:
        super().__init__()
        self.config = config
        self.z_dim, self.w_dim, self.resolution = config.z_dim, config.w_dim, config.resolution
        self.synthesis = synthesis
        self.num_ws = synthesis.num_ws
        self.mapping = MappingNetwork(config.z_dim, config.w_dim, self.num_ws, config.mapping_layers)

    def forward(self, z: Tensor, truncation_psi: float = 1.0, noise: Noise = "const") -> Tensor:
        """z [N, Z] -> img [N, 3, R, R]."""
        img = self.synthesis(self.mapping(z, truncation_psi), noise)
        assert isinstance(img, Tensor)
        return img

    @abstractmethod
    def draw_noise(self, count: int, rng: torch.Generator) -> NoiseMaps:
        """Fresh noise for N pictures, on the device of `rng`."""

    def style_layers(self) -> list[StyleLayer]:
        """Every convolution and toRGB, in the order in which they run."""
        return self.config.style_layers()

    def conv_layers(self) -> list[Layer]:
        """Every convolution, lowest resolution first."""
        convs = [layer for layer in self.style_layers() if not layer.is_rgb]
        return [Layer(name=conv.name, ws_index=conv.ws_index, weights=self._weights(conv)) for conv in convs]

    def rgb_weights(self) -> list[nn.Parameter]:
        """Weights and biases of the toRGB layers, lowest resolution first."""
        return [weight for layer in self.style_layers() if layer.is_rgb for weight in self._weights(layer)]

    def _weights(self, layer: StyleLayer) -> tuple[nn.Parameter, ...]:
        module = self.synthesis.get_submodule(layer.name)
        return module.get_parameter("weight"), module.get_parameter("bias")
