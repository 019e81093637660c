"""The StyleGAN2 generator (arXiv:1912.04958): mapping, and synthesis with skip connections to RGB.

Tensor names and shapes follow NVIDIA's PyTorch layout (arXiv:2006.06676), so their checkpoints load by name.
Legend: N batch, C channels, H W pixels, L style layers, Z and W_DIM latent widths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn

from nada.errors import ShapeError
from nada.generators.mapping_network import FullyConnected, MappedNetwork
from nada.generators.protocol import NetworkConfig, Noise, NoiseMaps, StyleLayer, Styles
from nada.generators.style_space import StyleSynthesis
from nada.generators.stylegan2_ops import blur_kernel, leaky_relu, modulated_conv, upsample

LayerNoise = Tensor | Literal["const", "none"]


class StyleGAN2Config(NetworkConfig):
    """The architecture: min(channel_base // r, channel_max) feature maps at r px."""

    family: Literal["stylegan2"] = "stylegan2"

    @model_validator(mode="after")
    def _is_possible(self) -> StyleGAN2Config:
        if self.channels(self.resolution) < 1:
            raise ValueError(f"channel_base is {self.channel_base}; at {self.resolution} px no channels would be left")
        return self

    @property
    def sizes(self) -> list[int]:
        """Resolutions of the blocks, in pixels: 4, 8, and so on."""
        return [4 << i for i in range(self.resolution.bit_length() - 2)]

    def channels(self, resolution: int) -> int:
        """Feature maps at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)

    def style_layers(self) -> list[StyleLayer]:
        """The 2 log2(R) - 3 convolutions, of which row i of ws drives number i, and a toRGB at the end of each block.

        A toRGB shares its row with the first convolution of the next block.
        """
        layers: list[StyleLayer] = []
        for i, size in enumerate(self.sizes):
            for row, name in enumerate(("conv0", "conv1", "torgb"), start=2 * i - 1):
                if row < 0:
                    continue  # the block at 4 px has no conv0
                read, is_rgb = self.channels(size // 2 if name == "conv0" else size), name == "torgb"
                layers.append(
                    StyleLayer(name=f"b{size}.{name}", ws_index=row, num_channels=read, resolution=size, is_rgb=is_rgb)
                )
        return layers

    def graph_bytes(self) -> int:
        """What one picture's graph keeps for the backward pass: 10 bytes for each number that a convolution puts out.

        Measured on a CPU, at 256 and 1024 px (docs/results.md).
        """
        return 10 * sum(2 * self.channels(size) * size**2 for size in self.sizes)

    def fixed_tensors(self) -> dict[str, Tensor]:
        """The low-pass filters by name: tensors that a checkpoint holds and the architecture decides."""
        blocks = [f"synthesis.b{size}" for size in self.sizes]
        convs = [f"{block}.{conv}" for block in blocks for conv in ("conv0", "conv1")][1:]
        return {f"{module}.resample_filter": blur_kernel() for module in blocks + convs}


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU; doubles the resolution if `up`."""

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(self, config: StyleGAN2Config, fan_in: int, fan_out: int, resolution: int, up: bool) -> None:
        super().__init__()
        self.resolution, self.up, self.clamp = resolution, up, config.conv_clamp
        self.affine = FullyConnected(config.w_dim, fan_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(fan_out))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", blur_kernel())

    def forward(self, x: Tensor, styles: Tensor, noise: LayerNoise) -> Tensor:
        kernel = self.resample_filter if self.up else None
        x = modulated_conv(x, self.weight, styles, kernel, demodulate=True)
        if noise != "none":
            noise_map = self.noise_const if isinstance(noise, str) else noise.to(x)
            x = x + noise_map * self.noise_strength
        return leaky_relu(x + self.bias[:, None, None], self.clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to RGB, without demodulation."""

    def __init__(self, config: StyleGAN2Config, fan_in: int) -> None:
        super().__init__()
        self.clamp = config.conv_clamp
        self.affine = FullyConnected(config.w_dim, fan_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, fan_in, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.style_gain = 1 / math.sqrt(fan_in)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        x = modulated_conv(x, self.weight, styles * self.style_gain, None, demodulate=False)
        x = x + self.bias[:, None, None]
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class SynthesisBlock(nn.Module):
    """Everything at one resolution: one convolution at 4 px, two above, and the contribution to RGB."""

    resample_filter: Tensor

    def __init__(self, config: StyleGAN2Config, resolution: int) -> None:
        super().__init__()
        channels = config.channels(resolution)
        self.is_first = resolution == 4
        if self.is_first:
            self.const = nn.Parameter(torch.randn(channels, 4, 4))
        else:
            self.conv0 = SynthesisLayer(config, config.channels(resolution // 2), channels, resolution, up=True)
        self.conv1 = SynthesisLayer(config, channels, channels, resolution, up=False)
        self.torgb = ToRGB(config, channels)
        self.register_buffer("resample_filter", blur_kernel())

    def forward(
        self, x: Tensor | None, img: Tensor | None, styles: Sequence[Tensor], noise: Sequence[LayerNoise]
    ) -> tuple[Tensor, Tensor]:
        """`styles` and `noise` are this block's slices, one entry a layer; the last of `styles` is toRGB's."""
        if x is None or img is None:
            x = self.const.expand(len(styles[0]), -1, -1, -1)
            x = self.conv1(x, styles[0], noise[0])
            return x, self.torgb(x, styles[1])
        x = self.conv0(x, styles[0], noise[0])
        x = self.conv1(x, styles[1], noise[1])
        return x, upsample(img, self.resample_filter) + self.torgb(x, styles[2])


class SynthesisNetwork(StyleSynthesis):
    """ws [N, L, W_DIM] -> styles -> img [N, 3, R, R], about [-1, 1]."""

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__(config, input_rows={})
        self.resolutions = config.sizes
        for resolution in self.resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(config, resolution))

    def block(self, resolution: int) -> SynthesisBlock:
        """The block at a resolution."""
        block = self.get_submodule(f"b{resolution}")
        assert isinstance(block, SynthesisBlock)
        return block

    def from_styles(self, styles: Styles, noise: Noise = "const") -> Tensor:
        ordered = self.in_order(styles)
        noises = self._noise_by_layer(noise, len(ordered[0]))
        x, img = self.block(4)(None, None, ordered[:2], noises[:1])
        for i, resolution in enumerate(self.resolutions[1:]):
            of_styles, of_noise = slice(3 * i + 2, 3 * i + 5), slice(2 * i + 1, 2 * i + 3)
            x, img = self.block(resolution)(x, img, ordered[of_styles], noises[of_noise])
        assert isinstance(img, Tensor)
        return img

    def noise_shapes(self, count: int) -> list[tuple[int, int, int, int]]:
        """Shape of each convolution's noise for N pictures, lowest resolution first."""
        sides = [side for side in self.resolutions for _ in range(1 if side == 4 else 2)]
        return [(count, 1, side, side) for side in sides]

    def _noise_by_layer(self, noise: Noise, count: int) -> Sequence[LayerNoise]:
        shapes = self.noise_shapes(count)
        if isinstance(noise, str):
            return [noise] * len(shapes)
        given = [tuple(noise_map.shape) for noise_map in noise]
        if given != shapes:
            raise ShapeError(f"noise: expected maps {shapes}, got {given}; draw them with draw_noise")
        return noise


class StyleGAN2(MappedNetwork):
    """The generator: `mapping` and `synthesis`; see `nada.generators.protocol.Generator`."""

    config: StyleGAN2Config
    synthesis: SynthesisNetwork

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__(config, SynthesisNetwork(config))

    def draw_noise(self, count: int, rng: torch.Generator) -> NoiseMaps:
        """Fresh noise for N pictures: one map [N, 1, H, W] a convolution, on the device of `rng`."""
        shapes = self.synthesis.noise_shapes(count)
        return tuple(torch.randn(shape, generator=rng, device=rng.device) for shape in shapes)
