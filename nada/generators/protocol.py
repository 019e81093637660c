"""What adaptation needs of a generator, whatever its family.

Legend: N batch, L style layers, Z and W_DIM latent widths, R resolution in pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn

NoiseMaps = tuple[Tensor, ...]
"""One map [N, 1, H, W] a convolution, at its resolution; none at all in a family without noise that changes."""

Noise = NoiseMaps | Literal["const", "none"]
"""Per-pixel noise: maps drawn before, the fixed maps stored with the weights, or left out."""

Styles = dict[str, Tensor]
"""What the affines make of ws: `s` [N, C] by the name of its style layer, in the order in which they run.

toRGB's is without the gain that the layer multiplies it by. What else ws drives is there too, ahead of the layers: a
StyleGAN3's `input`, [N, 4], cosine and sine of the rotation and x and y of the shift, all times one positive number;
and what scales a MobileStyleGAN's features, [N, C], before each inverse wavelet transform.
"""


class NetworkConfig(BaseModel):
    """What the architectures of every family have in common; stored as JSON beside the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    z_dim: int = Field(512, ge=1, le=4096)
    w_dim: int = Field(512, ge=1, le=4096)
    resolution: int = Field(ge=4, le=2048)
    channel_base: int = Field(32768, ge=1, le=1 << 20)
    channel_max: int = Field(512, ge=1, le=4096)
    mapping_layers: int = Field(8, ge=1, le=64)
    conv_clamp: float | None = Field(None, gt=0)
    """Activations are clamped to [-conv_clamp, conv_clamp]; generators trained in float16 need it."""
    family: str
    """The name in `nada.generators.families`; each family's own has that one value."""

    @field_validator("resolution")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError(f"pictures of {value} px; only powers of two are supported")
        return value

    @abstractmethod
    def style_layers(self) -> list[StyleLayer]:
        """The layers of the style space in the order in which they run, without building a network."""

    @abstractmethod
    def graph_bytes(self) -> int:
        """What one picture's graph keeps for the backward pass."""

    @abstractmethod
    def fixed_tensors(self) -> dict[str, Tensor]:
        """Tensors by name that a checkpoint holds and the architecture decides."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One synthesis convolution and the row of `ws` that drives it."""

    name: str
    ws_index: int
    weights: tuple[nn.Parameter, ...]


@dataclass(frozen=True, kw_only=True)
class StyleLayer:
    """One layer of the style space S: a convolution or a toRGB, and the row of `ws` that its affine reads."""

    name: str
    """Of its module below `synthesis`, as in the checkpoint."""
    ws_index: int
    num_channels: int
    """C of its `s`: the channels that the layer reads, not those that it puts out."""
    resolution: int
    """Pixels of a side of the picture at the sampling rate of its output; margins do not count."""
    is_rgb: bool


class Mapping(Protocol):
    """z to ws."""

    def __call__(self, z: Tensor, truncation_psi: float = 1.0) -> Tensor:
        """[N, Z] standard normal -> ws [N, L, W_DIM], pulled towards the mean w by 1 - psi."""


class Synthesis(Protocol):
    """ws to pictures."""

    def __call__(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        """[N, L, W_DIM] -> img [N, 3, R, R], about [-1, 1]: `from_styles` of `styles`."""

    def styles(self, ws: Tensor) -> Styles:
        """[N, L, W_DIM] -> a point of the style space."""

    def from_styles(self, styles: Styles, noise: Noise = "const") -> Tensor:
        """A point of the style space -> img [N, 3, R, R], about [-1, 1]."""


class Generator(Protocol):
    """A pretrained generator that can be adapted; the families are in `nada.generators.families`."""

    z_dim: int
    w_dim: int
    num_ws: int
    resolution: int

    @property
    def config(self) -> NetworkConfig:
        """The architecture."""

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

    def style_layers(self) -> list[StyleLayer]:
        """The layers of the style space, in the order in which they run."""

    def rgb_weights(self) -> list[nn.Parameter]:
        """Weights and biases of the toRGB layers."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Every parameter, as in `nn.Module`."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The same with their names, as in `nn.Module`."""

    def state_dict(self) -> dict[str, Tensor]:
        """Every tensor by name, as in `nn.Module`."""
