"""The MobileStyleGAN generator (arXiv:2104.04767): mapping, and synthesis in the wavelet domain.

A student of StyleGAN2. Every block makes four channels to one of twice the size by an inverse Haar transform, then has
two separable convolutions; the last layer puts out the wavelets of the picture. Demodulation does not depend on the
style, so the published networks have it in their weights, and their noise is a map that never changes.
Legend: N batch, C channels, H W pixels, L style layers, Z and W_DIM latent widths, R resolution in pixels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nada.errors import ShapeError
from nada.generators.lean_ops import lean_leaky_relu, scaled_conv
from nada.generators.mapping_network import FullyConnected, MappedNetwork
from nada.generators.mobilestylegan.architecture import MobileStyleGANConfig
from nada.generators.mobilestylegan.ops import LRELU_SLOPE, WAVELETS, inverse_haar, separable_conv
from nada.generators.protocol import Noise, NoiseMaps, StyleLayer, Styles
from nada.generators.style_space import StyleSynthesis

__all__ = ["MobileStyleGAN", "MobileStyleGANConfig"]

RGB_CHANNELS = 3
KERNEL_AREA = 9  # of a 3x3 convolution


class Wavelets(nn.Module):
    """x [N, 4C, H, W] as wavelets, each channel scaled by its style -> [N, C, 2H, 2W]."""

    def __init__(self, config: MobileStyleGANConfig, channels: int) -> None:
        super().__init__()
        self.affine = FullyConnected(config.w_dim, channels, bias=1.0)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        return inverse_haar(x * styles[:, :, None, None])


class SynthesisLayer(nn.Module):
    """Modulated convolution, fixed noise, bias, leaky ReLU; separable except at 4 px."""

    noise_const: Tensor

    def __init__(
        self, config: MobileStyleGANConfig, fan_in: int, fan_out: int, resolution: int, separable: bool
    ) -> None:
        super().__init__()
        self.affine = FullyConnected(config.w_dim, fan_in, bias=1.0)
        self.style_gain = 1 / math.sqrt(fan_in * KERNEL_AREA)
        if separable:
            self.depthwise = nn.Parameter(torch.randn(fan_in, 1, 3, 3))
        kernel = 1 if separable else 3
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(fan_out))
        self.separable = separable
        self.register_buffer("noise_const", torch.zeros(resolution, resolution))

    def forward(self, x: Tensor, styles: Tensor, with_noise: bool) -> Tensor:
        styles = styles * self.style_gain
        if self.separable:
            x = separable_conv(x, styles, self.depthwise, self.weight)
        else:
            x = scaled_conv(x, styles, self.weight, padding=1)
        bias = self.bias[:, None, None]
        return lean_leaky_relu(x + (bias + self.noise_const if with_noise else bias), LRELU_SLOPE, gain=1.0)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to the wavelets of the picture, and the picture [N, 3, 2H, 2W] itself."""

    def __init__(self, config: MobileStyleGANConfig, fan_in: int) -> None:
        super().__init__()
        self.affine = FullyConnected(config.w_dim, fan_in, bias=1.0)
        self.style_gain = 1 / math.sqrt(fan_in)
        self.weight = nn.Parameter(torch.randn(RGB_CHANNELS * WAVELETS, fan_in, 1, 1))
        self.bias = nn.Parameter(torch.zeros(RGB_CHANNELS * WAVELETS))

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        x = scaled_conv(x, styles * self.style_gain, self.weight)
        return inverse_haar(x + self.bias[:, None, None])


class SynthesisBlock(nn.Module):
    """Everything at one size of the features: one convolution at 4 px, wavelets and two convolutions above."""

    def __init__(self, config: MobileStyleGANConfig, resolution: int) -> None:
        super().__init__()
        channels = config.channels(resolution)
        self.is_first = resolution == 4
        if self.is_first:
            self.const = nn.Parameter(torch.randn(channels, 4, 4))
        else:
            read = config.channels(resolution // 2)
            self.wavelets = Wavelets(config, read)
            self.conv0 = SynthesisLayer(config, read // WAVELETS, channels, resolution, separable=True)
        self.conv1 = SynthesisLayer(config, channels, channels, resolution, separable=not self.is_first)


class SynthesisNetwork(StyleSynthesis):
    """ws [N, L, W_DIM] -> styles -> img [N, 3, R, R], about [-1, 1]."""

    def __init__(self, config: MobileStyleGANConfig) -> None:
        super().__init__(config, input_rows=config.wavelet_rows())
        self.resolutions = config.sizes
        for resolution in self.resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(config, resolution))
        self.torgb = ToRGB(config, config.channels(self.resolutions[-1]))

    def block(self, resolution: int) -> SynthesisBlock:
        """The block whose features have a resolution."""
        block = self.get_submodule(f"b{resolution}")
        assert isinstance(block, SynthesisBlock)
        return block

    def features(self, styles: Styles, noise: Noise = "const") -> Tensor:
        """What toRGB reads, [N, C, R / 2, R / 2].

        Raises:
            ShapeError: styles of another generator, or noise maps, of which this family has no use.
        """
        count = len(self.in_order(styles)[0])
        if isinstance(noise, tuple) and noise:
            raise ShapeError(f"noise: expected no maps, got {len(noise)}; draw them with draw_noise")
        with_noise = noise != "none"
        first = self.block(4)
        x = first.conv1(first.const.expand(count, -1, -1, -1), styles["b4.conv1"], with_noise)
        for resolution in self.resolutions[1:]:
            name, block = f"b{resolution}", self.block(resolution)
            x = block.wavelets(x, styles[f"{name}.wavelets"])
            x = block.conv0(x, styles[f"{name}.conv0"], with_noise)
            x = block.conv1(x, styles[f"{name}.conv1"], with_noise)
        assert isinstance(x, Tensor)
        return x

    def from_styles(self, styles: Styles, noise: Noise = "const") -> Tensor:
        img: Tensor = self.torgb(self.features(styles, noise), styles["torgb"])
        return img


class MobileStyleGAN(MappedNetwork):
    """The generator: `mapping` and `synthesis`; see `nada.generators.protocol.Generator`."""

    config: MobileStyleGANConfig
    synthesis: SynthesisNetwork

    def __init__(self, config: MobileStyleGANConfig) -> None:
        super().__init__(config, SynthesisNetwork(config))

    def draw_noise(self, count: int, rng: torch.Generator) -> NoiseMaps:
        """None: the maps that are stored with the weights belong to them."""
        return ()

    def _weights(self, layer: StyleLayer) -> tuple[nn.Parameter, ...]:
        """Weight and bias, and ahead of them the filters of a separable convolution."""
        module = self.synthesis.get_submodule(layer.name)
        filters = (module.depthwise,) if isinstance(module, SynthesisLayer) and module.separable else ()
        return (*filters, *super()._weights(layer))
