"""The architecture of a MobileStyleGAN: sizes, channels and layers, without a network.

Legend: C channels, R resolution in pixels.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator
from torch import Tensor

from nada.generators.mobilestylegan.ops import WAVELETS
from nada.generators.protocol import NetworkConfig, StyleLayer


class MobileStyleGANConfig(NetworkConfig):
    """The architecture: min(channel_base // r, channel_max) feature maps at r px, up to half the picture's size."""

    family: Literal["mobilestylegan"] = "mobilestylegan"

    @model_validator(mode="after")
    def _is_possible(self) -> MobileStyleGANConfig:
        if self.resolution < 8:
            raise ValueError(f"resolution is {self.resolution}; the smallest is 8, twice that of the first features")
        for size in self.sizes:
            is_read_as_wavelets = size != self.sizes[-1]
            if not self.channels(size) or (is_read_as_wavelets and self.channels(size) % WAVELETS):
                raise ValueError(f"{self.channels(size)} channels at {size} px; expected a multiple of {WAVELETS}")
        if self.conv_clamp is not None:
            raise ValueError("conv_clamp: this family does not clamp its activations")
        return self

    @property
    def sizes(self) -> list[int]:
        """Resolutions of the features, in pixels: 4, 8, and so on up to half the picture's."""
        return [4 << i for i in range(self.resolution.bit_length() - 3)]

    def channels(self, resolution: int) -> int:
        """Feature maps at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)

    def style_layers(self) -> list[StyleLayer]:
        """The convolutions, one at 4 px and two at every size above, and toRGB; row i of ws drives number i."""
        reads = [("b4.conv1", self.channels(4), 4)]  # name, channels that it reads, pixels
        for size in self.sizes[1:]:
            reads += [(f"b{size}.conv0", self.channels(size // 2) // WAVELETS, size)]
            reads += [(f"b{size}.conv1", self.channels(size), size)]
        reads += [("torgb", self.channels(self.sizes[-1]), self.resolution)]
        return [
            StyleLayer(name=name, ws_index=row, num_channels=channels, resolution=size, is_rgb=name == "torgb")
            for row, (name, channels, size) in enumerate(reads)
        ]

    def wavelet_rows(self) -> dict[str, int]:
        """The row of ws that scales the wavelets at the head of each block, by module: that of the block's conv0."""
        return {f"b{size}.wavelets": 2 * i + 1 for i, size in enumerate(self.sizes[1:])}

    def graph_bytes(self) -> int:
        """What one picture's graph keeps for the backward pass: 14 bytes for each number of the features.

        Float32 of what both activations put out, of what both depthwise convolutions do, the first of a quarter as
        many channels, and of the wavelets' inverse transform, of a quarter too.
        """
        return 14 * sum(self.channels(size) * size**2 for size in self.sizes)

    def fixed_tensors(self) -> dict[str, Tensor]:
        """None: every tensor is learned."""
        return {}
