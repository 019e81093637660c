"""The StyleGAN3 generator (arXiv:2106.12423), T and R: mapping, Fourier features, alias-free convolutions.

Tensor names and shapes follow NVIDIA's PyTorch layout, so their checkpoints load by name.
Legend: N batch, C channels, H W pixels, L style layers, Z and W_DIM latent widths, R resolution.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nada.errors import ShapeError
from nada.generators.mapping_network import FullyConnected, MappedNetwork
from nada.generators.protocol import Noise, NoiseMaps, Styles
from nada.generators.style_space import StyleSynthesis
from nada.generators.stylegan3_geometry import ConvGeometry, StyleGAN3Config
from nada.generators.stylegan3_ops import Rates, filtered_leaky_relu, modulated_conv

__all__ = ["StyleGAN3", "StyleGAN3Config"]


class SynthesisInput(nn.Module):
    """motion [N, 4] -> x [N, C, H, H]: waves of fixed frequencies, turned and shifted, mixed by a matrix.

    The motion is what `affine` makes of w; of the style space as a layer's styles are.
    """

    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(self, config: StyleGAN3Config) -> None:
        super().__init__()
        channels = config.channels(0)
        self.size, self.rate, self.bandwidth = config.size(0), config.sampling_rate(0), config.cutoff(0)
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.affine = FullyConnected(config.w_dim, 4)  # cosine and sine of the rotation, x and y of the shift
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        freqs = torch.randn(channels, 2)
        radii = freqs.norm(dim=1, keepdim=True)  # of a Gaussian; spread evenly over the disc below the cut-off:
        freqs = freqs / radii * (1 - (-radii.square() / 2).exp()).sqrt() * self.bandwidth
        self.register_buffer("transform", torch.eye(3))  # inverse transform of the whole picture, the user's
        self.register_buffer("freqs", freqs)
        self.register_buffer("phases", torch.rand(channels) - 0.5)

    def forward(self, motion: Tensor) -> Tensor:
        transform = self._rotation_and_shift(motion) @ self.transform  # [N, 3, 3]
        phases = self.phases[:, None] + self.freqs @ transform[:, :2, 2:]  # [N, C, 1]
        freqs = self.freqs @ transform[:, :2, :2]  # [N, C, 2]
        # A transform that shrinks the picture raises frequencies; those that the samples cannot hold fade out.
        surplus = freqs.norm(dim=2, keepdim=True) - self.bandwidth
        amplitudes = (1 - surplus / (self.rate / 2 - self.bandwidth)).clamp(0, 1)
        turns = torch.cat([freqs, phases], dim=2) @ self._pixels(motion)  # [N, C, H * H]
        waves = ((2 * math.pi * turns).sin() * amplitudes).unflatten(2, (self.size, self.size))
        return F.conv2d(waves, self.weight[:, :, None, None] / math.sqrt(len(self.weight)))

    def _pixels(self, like: Tensor) -> Tensor:
        """x and y of every pixel, 0 at the centre and 1 a picture's side away, and a row of ones: [3, H * H]."""
        position = (torch.arange(self.size, device=like.device, dtype=like.dtype) + 0.5 - self.size / 2) / self.rate
        y, x = torch.meshgrid(position, position, indexing="ij")
        return torch.stack([x, y, torch.ones_like(x)]).flatten(1)

    def _rotation_and_shift(self, motion: Tensor) -> Tensor:
        """[N, 4] -> [N, 3, 3]."""
        cos, sin, shift_x, shift_y = (motion / motion[:, :2].norm(dim=1, keepdim=True)).unbind(dim=1)
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        rotation = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=1).view(-1, 3, 3)
        shift = torch.stack([one, zero, -shift_x, zero, one, -shift_y, zero, zero, one], dim=1).view(-1, 3, 3)
        return rotation @ shift


class SynthesisLayer(nn.Module):
    """Modulated convolution, bias and filtered leaky ReLU."""

    magnitude_ema: Tensor
    up_filter: Tensor
    down_filter: Tensor

    def __init__(self, layer: ConvGeometry) -> None:
        super().__init__()
        config = layer.config
        fan_in, fan_out = config.channels(layer.previous), config.channels(layer.index)
        self.rates = Rates(layer.up, layer.down, config.size(layer.index), config.conv_clamp)
        self.affine = FullyConnected(config.w_dim, fan_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in, config.conv_kernel, config.conv_kernel))
        self.bias = nn.Parameter(torch.zeros(fan_out))
        self.register_buffer("magnitude_ema", torch.ones([]))  # mean square of the input, tracked in training
        self.register_buffer("up_filter", layer.up_filter())
        self.register_buffer("down_filter", layer.down_filter())

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        x = modulated_conv(x, self.weight, styles, self.magnitude_ema.rsqrt(), demodulate=True)
        return filtered_leaky_relu(x, self.bias, self.up_filter, self.down_filter, self.rates)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to RGB, without demodulation."""

    magnitude_ema: Tensor

    def __init__(self, config: StyleGAN3Config) -> None:
        super().__init__()
        fan_in = config.channels(config.num_layers - 1)
        self.clamp = config.conv_clamp
        self.affine = FullyConnected(config.w_dim, fan_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, fan_in, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.register_buffer("magnitude_ema", torch.ones([]))
        self.style_gain = 1 / math.sqrt(fan_in)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        x = modulated_conv(x, self.weight, styles * self.style_gain, self.magnitude_ema.rsqrt(), demodulate=False)
        x = x + self.bias[:, None, None]
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class SynthesisNetwork(StyleSynthesis):
    """ws [N, L, W_DIM] -> styles -> img [N, 3, R, R], about [-1, 1]. Row 0 of ws moves the input."""

    def __init__(self, config: StyleGAN3Config) -> None:
        super().__init__(config, input_rows={"input": 0})
        self.output_scale = config.output_scale
        self.input = SynthesisInput(config)
        self.conv_names = [layer.name for layer in config.layers()]
        for layer in config.layers():
            self.add_module(layer.name, SynthesisLayer(layer))
        self.rgb_name = config.rgb_name
        self.add_module(self.rgb_name, ToRGB(config))

    def from_styles(self, styles: Styles, noise: Noise = "const") -> Tensor:
        motion, *ordered = self.in_order(styles)
        if isinstance(noise, tuple) and noise:
            raise ShapeError(f"noise: expected no maps, got {len(noise)}; draw them with draw_noise")
        x = self.input(motion)
        for name, s in zip([*self.conv_names, self.rgb_name], ordered, strict=True):
            x = self.get_submodule(name)(x, s)
        img: Tensor = x * self.output_scale
        return img


class StyleGAN3(MappedNetwork):
    """The generator: `mapping` and `synthesis`; see `nada.generators.protocol.Generator`."""

    config: StyleGAN3Config
    synthesis: SynthesisNetwork

    def __init__(self, config: StyleGAN3Config) -> None:
        super().__init__(config, SynthesisNetwork(config))

    def draw_noise(self, count: int, rng: torch.Generator) -> NoiseMaps:
        """None: every detail comes from the layers."""
        return ()
