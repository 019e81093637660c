"""Where a light domain's styles go: s' = multiplier x s + offset, the same for every latent.

HyperDomainNet's domain modulation (arXiv:2210.08884) is a multiplier for each input channel of a layer; StyleDomain's
domains (arXiv:2212.10229) are an offset in the style space. Both are relative to a pretrained generator, so a domain
that starts from a light one is again of this form, and domains of one generator add up.
Legend: N batch, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from nada.errors import ShapeError
from nada.generators.protocol import StyleLayer, Styles

Kind = Literal["multiplier", "offset"]
NEUTRAL: dict[Kind, float] = {"multiplier": 1.0, "offset": 0.0}
"""The value that changes nothing."""


@dataclass(frozen=True)
class StyleMoves:
    """Multipliers and offsets by the name of their style layer; what is not named stays as it is.

    Each is [C], or [N, C] where every picture of a batch has its own.
    """

    multiplier: Mapping[str, Tensor] = field(default_factory=dict)
    offset: Mapping[str, Tensor] = field(default_factory=dict)

    def __call__(self, styles: Styles) -> Styles:
        """Move `s` [N, C] of every layer that is named."""
        moved = dict(styles)
        for name, multiplier in self.multiplier.items():
            moved[name] = moved[name] * multiplier
        for name, offset in self.offset.items():
            moved[name] = moved[name] + offset
        return moved

    def of(self, kind: Kind) -> Mapping[str, Tensor]:
        """Those of a kind."""
        return self.multiplier if kind == "multiplier" else self.offset

    def with_(self, kind: Kind, values: Mapping[str, Tensor]) -> StyleMoves:
        """The same, with these of a kind."""
        return StyleMoves(values, self.offset) if kind == "multiplier" else StyleMoves(self.multiplier, values)

    def to(self, device: str) -> StyleMoves:
        """The same on a device."""
        return StyleMoves(*({name: value.to(device) for name, value in self.of(kind).items()} for kind in NEUTRAL))

    def check(self, layers: Sequence[StyleLayer]) -> None:
        """Refuse moves of another style space.

        Raises:
            ShapeError: a layer that is not there, or of another width.
        """
        widths = {layer.name: layer.num_channels for layer in layers}
        for kind in NEUTRAL:
            for name, value in self.of(kind).items():
                if value.shape[-1] != widths.get(name):
                    found = f"{widths[name]} channels wide there" if name in widths else "no layer there"
                    raise ShapeError(f"{kind}s of {value.shape[-1]} channels of {name!r}, which is {found}")


def mix_moves(parts: Sequence[tuple[StyleMoves, float]]) -> StyleMoves:
    """The moves of a mix: each part's change of the generator times its share, added up.

    That is what mixing folded weights comes to, for folding is linear in multipliers and offsets.
    """
    return StyleMoves(*({name: _mixed(kind, name, parts) for name in _names(kind, parts)} for kind in NEUTRAL))


def _names(kind: Kind, parts: Sequence[tuple[StyleMoves, float]]) -> Iterator[str]:
    yield from dict.fromkeys(name for moves, _ in parts for name in moves.of(kind))


def _mixed(kind: Kind, name: str, parts: Sequence[tuple[StyleMoves, float]]) -> Tensor:
    changes = [share * (moves.of(kind)[name] - NEUTRAL[kind]) for moves, share in parts if name in moves.of(kind)]
    return sum(changes[1:], start=changes[0]) + NEUTRAL[kind]
