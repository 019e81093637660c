"""Domains that draw with another domain's networks, and edit something between its latents and its pictures.

For methods that leave the source's weights alone. Legend: N batch, L style layers, W_DIM latent width, R resolution.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from nada.generators.domain import Domain
from nada.generators.protocol import Noise, Styles, Synthesis


class EditedDomain(nn.Module):
    """The latents and sizes of a source, with a synthesis of its own; see `nada.generators.domain.Domain`.

    Args:
        source: whose mapping it is. Its ws are the source's, so that the same latents compare.
        synthesis: a module that draws them.
    """

    mapping: Callable[..., Tensor]
    synthesis: Synthesis

    def __init__(self, source: Domain, synthesis: Synthesis) -> None:
        super().__init__()
        self.z_dim, self.w_dim, self.num_ws = source.z_dim, source.w_dim, source.num_ws
        self.resolution = source.resolution
        self.mapping = source.mapping
        self.synthesis = synthesis


class MovedLatents(nn.Module):
    """ws -> other ws -> the source's pictures of them; see `nada.generators.protocol.Synthesis`.

    Args:
        source: that draws.
        move: ws [N, L, W_DIM] to as many others; a module, so that its tensors move along to another device.
    """

    def __init__(self, source: Domain, move: nn.Module) -> None:
        super().__init__()
        self.source = source.synthesis
        self.move = move

    def forward(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        return self.source(self.move(ws), noise)

    def styles(self, ws: Tensor) -> Styles:
        """[N, L, W_DIM] -> the source's styles of the moved latents."""
        return self.source.styles(self.move(ws))

    def from_styles(self, styles: Styles, noise: Noise = "const") -> Tensor:
        """Styles, moved already -> img [N, 3, R, R], as the source draws them."""
        return self.source.from_styles(styles, noise)
