"""What shapes a StyleGAN3: its configuration, and the sampling rates, sizes and filters that follow from it.

Frequencies count cycles per image side, sampling rates samples per image side (section 3.2 of the paper).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from nada.generators.protocol import NetworkConfig, StyleLayer
from nada.generators.stylegan3_ops import lowpass_filter

RATE_TOLERANCE = 1e-9  # of the exponent of two: at 256 px one rate is a power of two but for rounding


class StyleGAN3Config(NetworkConfig):
    """The architecture: translation-equivariant (T) by default.

    The rotation-equivariant R has conv_kernel 1, use_radial_filters, and twice the channel_base and channel_max.
    """

    family: Literal["stylegan3"] = "stylegan3"
    mapping_layers: int = Field(2, ge=1, le=64)
    conv_clamp: float | None = Field(256.0, gt=0)
    num_layers: int = Field(14, ge=2, le=64)
    """Convolutions, the last to RGB not among them."""
    num_critical: int = Field(2, ge=1, le=63)
    """Layers at the end whose cut-off is half their sampling rate."""
    first_cutoff: float = Field(2.0, ge=1)
    first_stopband: float = Field(2**2.1, ge=1)
    last_stopband_rel: float = Field(2**0.3, ge=1, le=16)
    """Stopband of the last layers, relative to their cut-off."""
    margin_size: int = Field(10, ge=0, le=256)
    """Pixels computed beyond each border of the picture."""
    output_scale: float = Field(0.25, gt=0)
    conv_kernel: int = Field(3, ge=1, le=7)
    use_radial_filters: bool = False
    """Downsample by radially symmetric filters, critical layers excepted."""
    filter_size: int = Field(6, ge=2, le=32)
    """Taps of a low-pass filter, relative to the factor by which it resamples."""
    lrelu_upsampling: Literal[2, 4, 8] = 2
    """Sampling rate of the leaky ReLU, relative to that of its layer."""

    @model_validator(mode="after")
    def _is_possible(self) -> StyleGAN3Config:
        if self.num_critical >= self.num_layers:
            raise ValueError(f"num_critical is {self.num_critical}; it must be below num_layers ({self.num_layers})")
        if self.first_cutoff > min(self.resolution / 2, self.first_stopband):
            raise ValueError(
                f"first_cutoff is {self.first_cutoff}; it must not exceed half the resolution or first_stopband"
            )
        if min(self.channels(layer) for layer in range(self.num_layers)) < 1:
            raise ValueError(f"channel_base is {self.channel_base}; the last layers would have no channels")
        return self

    def cutoff(self, layer: int) -> float:
        """Highest frequency that a layer keeps, f_c."""
        return float(self.first_cutoff * (self.resolution / 2 / self.first_cutoff) ** self._progress(layer))

    def stopband(self, layer: int) -> float:
        """Frequency from which on a layer has nothing, f_t."""
        last = self.resolution / 2 * self.last_stopband_rel
        return float(self.first_stopband * (last / self.first_stopband) ** self._progress(layer))

    def sampling_rate(self, layer: int) -> int:
        """The least power of two that can hold the stopband, at most the resolution."""
        exponent = math.log2(min(2 * self.stopband(layer), self.resolution))
        return 1 << math.ceil(exponent - RATE_TOLERANCE)

    def half_width(self, layer: int) -> float:
        """Half the width of a layer's transition band, f_h."""
        return max(self.stopband(layer), self.sampling_rate(layer) / 2) - self.cutoff(layer)

    def size(self, layer: int) -> int:
        """Pixels of a side of a layer's output."""
        if layer >= self.num_layers - 1:
            return self.resolution
        return self.sampling_rate(layer) + 2 * self.margin_size

    def channels(self, layer: int) -> int:
        """Feature maps that a layer puts out."""
        return round(min(self.channel_base / 2 / self.cutoff(layer), self.channel_max))

    def graph_bytes(self) -> int:
        """What one picture's graph keeps for the backward pass: 23 bytes for each number that a layer puts out.

        Measured on a CPU, for T at 256 px (benchmarks/README.md); R took less.
        """
        return 23 * sum(self.channels(layer) * self.size(layer) ** 2 for layer in range(self.num_layers + 1))

    def _progress(self, layer: int) -> float:
        """Place in the geometric progression from the first layer, 0, to the critical ones, 1."""
        return min(layer / (self.num_layers - self.num_critical), 1)

    def layers(self) -> list[ConvGeometry]:
        """The convolutions L0 to L{num_layers - 1}."""
        return [ConvGeometry(self, index) for index in range(self.num_layers)]

    @property
    def rgb_name(self) -> str:
        """Name of the last layer, to RGB."""
        return f"L{self.num_layers}_{self.resolution}_3"

    def style_layers(self) -> list[StyleLayer]:
        """The convolutions and toRGB at the end; row i + 1 of ws drives layer i, as row 0 moves the input."""
        names = [*(layer.name for layer in self.layers()), self.rgb_name]
        return [
            StyleLayer(
                name=name,
                ws_index=i + 1,
                num_channels=self.channels(max(i - 1, 0)),
                resolution=self.sampling_rate(i),
                is_rgb=name == self.rgb_name,
            )
            for i, name in enumerate(names)
        ]

    def fixed_tensors(self) -> dict[str, Tensor]:
        """The low-pass filters by name: tensors that a checkpoint holds and the architecture decides."""
        filters: dict[str, Tensor] = {}
        for layer in self.layers():
            filters[f"synthesis.{layer.name}.up_filter"] = layer.up_filter()
            filters[f"synthesis.{layer.name}.down_filter"] = layer.down_filter()
        return filters


@dataclass(frozen=True)
class ConvGeometry:
    """One convolution: where it lies between its input and its output."""

    config: StyleGAN3Config
    index: int

    @property
    def previous(self) -> int:
        """The layer whose output it reads; the first has the same shape as the Fourier features."""
        return max(self.index - 1, 0)

    @property
    def name(self) -> str:
        """As in the checkpoint: index, pixels and channels of its output."""
        return f"L{self.index}_{self.config.size(self.index)}_{self.config.channels(self.index)}"

    @property
    def lrelu_rate(self) -> int:
        """Sampling rate at which its leaky ReLU works."""
        rates = [self.config.sampling_rate(layer) for layer in (self.previous, self.index)]
        return max(rates) * self.config.lrelu_upsampling

    @property
    def up(self) -> int:
        """Factor from the input's sampling rate to the leaky ReLU's."""
        return self.lrelu_rate // self.config.sampling_rate(self.previous)

    @property
    def down(self) -> int:
        """Factor from the leaky ReLU's sampling rate to the output's."""
        return self.lrelu_rate // self.config.sampling_rate(self.index)

    @property
    def is_critical(self) -> bool:
        """Whether its cut-off is half its sampling rate."""
        return self.index >= self.config.num_layers - self.config.num_critical

    def up_filter(self) -> Tensor:
        """[T]."""
        return self._filter(self.previous, self.up, radial=False)

    def down_filter(self) -> Tensor:
        """[T], or [T, T] of a radial filter."""
        return self._filter(self.index, self.down, self.config.use_radial_filters and not self.is_critical)

    def _filter(self, layer: int, factor: int, radial: bool) -> Tensor:
        taps, width = self.config.filter_size * factor, 2 * self.config.half_width(layer)
        with torch.device("cpu"):  # numbers that decide, even where a network is built without memory
            return lowpass_filter(taps, self.config.cutoff(layer), width, self.lrelu_rate, radial)
