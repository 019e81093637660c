"""A finished domain, whatever method made it: something that draws pictures from latents.

Legend: N batch, L style layers, Z and W_DIM latent widths, R resolution in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import nn

from nada.generators.protocol import Mapping, Synthesis


class Domain(Protocol):
    """What samples, strips, films, the judge and the report need; every `Generator` is one."""

    z_dim: int
    w_dim: int
    num_ws: int
    resolution: int

    @property
    def mapping(self) -> Mapping:
        """z [N, Z] to ws [N, L, W_DIM]."""

    @property
    def synthesis(self) -> Synthesis:
        """ws [N, L, W_DIM] to img [N, 3, R, R]."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Every parameter, as in `nn.Module`; they tell the device."""
