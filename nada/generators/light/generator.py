"""A generator whose styles are moved: it shares the networks of the one that it was made from.

Legend: N batch, L style layers, W_DIM latent width, R resolution in pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nada.generators.interpolation import mix_into
from nada.generators.light.moves import StyleMoves, mix_moves
from nada.generators.mapping_network import FullyConnected, MappingNetwork
from nada.generators.protocol import Layer, Noise, NoiseMaps, StyleLayer, Styles, Synthesis
from nada.generators.registry import Architecture, Network


class LightSynthesis(nn.Module):
    """ws [N, L, W_DIM] -> styles, moved -> img [N, 3, R, R]; see `nada.generators.protocol.Synthesis`."""

    def __init__(self, base: Synthesis, moves: StyleMoves) -> None:
        super().__init__()
        self.base, self.moves = base, moves

    def forward(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        return self.base.from_styles(self.styles(ws), noise)

    def styles(self, ws: Tensor) -> Styles:
        """[N, L, W_DIM] -> the base's styles, moved."""
        return self.moves(self.base.styles(ws))

    def from_styles(self, styles: Styles, noise: Noise = "const") -> Tensor:
        """Styles, moved already -> img [N, 3, R, R], as the base draws them."""
        return self.base.from_styles(styles, noise)


class LightGenerator(nn.Module):
    """A base with moved styles; see `nada.generators.protocol.Generator`. Weights are the base's, and stay so.

    Args:
        base: shared, not copied.
        moves: of its style space.

    Raises:
        ShapeError: the moves are of another style space.
    """

    def __init__(self, base: Network, moves: StyleMoves) -> None:
        super().__init__()
        moves.check(base.style_layers())
        self.base = base
        self.synthesis = LightSynthesis(base.synthesis, moves)
        self.z_dim, self.w_dim, self.num_ws, self.resolution = base.z_dim, base.w_dim, base.num_ws, base.resolution

    @property
    def moves(self) -> StyleMoves:
        """What it is beside its base."""
        return self.synthesis.moves

    @moves.setter
    def moves(self, moves: StyleMoves) -> None:
        self.synthesis.moves = moves

    @property
    def config(self) -> Architecture:
        """The base's architecture."""
        return self.base.config

    @property
    def mapping(self) -> MappingNetwork:
        """The base's."""
        return self.base.mapping

    def draw_noise(self, count: int, rng: torch.Generator) -> NoiseMaps:
        """As the base does."""
        return self.base.draw_noise(count, rng)

    def conv_layers(self) -> list[Layer]:
        """The base's."""
        return self.base.conv_layers()

    def style_layers(self) -> list[StyleLayer]:
        """The base's."""
        return self.base.style_layers()

    def rgb_weights(self) -> list[nn.Parameter]:
        """The base's."""
        return self.base.rgb_weights()

    @torch.no_grad()
    def folded(self) -> Network:
        """A generator of its own that draws the same pictures, but for rounding.

        A layer's styles are an affine function of w, s = A w + b, and everything else in it, demodulation and
        normalisation included, is a function of s. So m s + o = (m A) w + (m b + o) belongs into that affine, in every
        family.
        """
        whole = copy.deepcopy(self.base)
        for name, multiplier in self.moves.multiplier.items():
            affine = _affine(whole, name)
            affine.weight.mul_(multiplier[:, None])
            affine.bias.mul_(multiplier)
        for name, offset in self.moves.offset.items():
            affine = _affine(whole, name)
            affine.bias.add_(offset / affine.bias_gain)
        return whole


def _affine(network: Network, name: str) -> FullyConnected:
    affine = network.synthesis.get_submodule(f"{name}.affine")
    assert isinstance(affine, FullyConnected)
    return affine


def whole(generator: Network | LightGenerator) -> Network:
    """The generator with weights of its own."""
    return generator.folded() if isinstance(generator, LightGenerator) else generator


def mixed(source: Network, parts: Sequence[tuple[Network | LightGenerator, float]]) -> Network | LightGenerator:
    """The source plus a share of every domain's change; see `nada.generators.interpolation.mix_into`.

    Where all of them share the source, kilobytes are added and nothing is copied; else weights are mixed.

    Raises:
        ShapeError: a part is of another architecture.
    """
    light = [(part.moves, share) for part, share in parts if isinstance(part, LightGenerator) and part.base is source]
    if len(light) == len(parts):
        return LightGenerator(source, mix_moves(light))
    target = copy.deepcopy(source)
    mix_into(target, source, [(whole(part), share) for part, share in parts])
    return target
