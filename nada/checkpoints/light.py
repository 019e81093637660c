"""The kilobytes of a light domain: multipliers and offsets of styles, and which channels they move.

    multiplier, offset                    [K] float32: of the layers that the header names, one after the other
    multiplier.channels, offset.channels  [K] int32, rising: which channels of these layers; all of them where absent

Legend: C channels of all layers that are named, K of them moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, StringConstraints
from torch import Tensor

from nada.checkpoints.base_model import Parent
from nada.errors import CheckpointError, shown
from nada.generators.light.moves import NEUTRAL, Kind, StyleMoves
from nada.generators.protocol import StyleLayer

INDEX = ".channels"  # ends the name of the tensor that says which
LayerName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Light(BaseModel):
    """What the header of a light file says beside its architecture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parent: Parent
    """The generator whose styles move."""
    multiplier: tuple[LayerName, ...] = ()
    """Layers whose styles are multiplied."""
    offset: tuple[LayerName, ...] = ()
    """Layers whose styles are moved by an offset."""

    def layers(self, kind: Kind) -> tuple[str, ...]:
        """Those that a kind moves."""
        return self.multiplier if kind == "multiplier" else self.offset


def encode_moves(moves: StyleMoves, parent: Parent) -> tuple[Light, dict[str, Tensor]]:
    """Header and tensors. Layers that nothing moves are left out, and so are most channels where few move."""
    tensors: dict[str, Tensor] = {}
    named: dict[str, tuple[str, ...]] = {}
    for kind, neutral in NEUTRAL.items():
        moved = {name: value for name, value in moves.of(kind).items() if bool((value != neutral).any())}
        named[kind] = tuple(moved)
        if moved:
            tensors |= _packed(kind, torch.cat([value.detach().cpu().float() for value in moved.values()]))
    return Light(parent=parent, **named), tensors


def _packed(kind: Kind, values: Tensor) -> dict[str, Tensor]:
    """Values [C], or those alone that move with their channels, whichever is smaller."""
    channels = (values != NEUTRAL[kind]).nonzero().flatten()
    if 2 * len(channels) >= len(values):
        return {kind: values}
    return {kind: values[channels], f"{kind}{INDEX}": channels.int()}


def decode_moves(path: Path, light: Light, tensors: Mapping[str, Tensor], layers: Sequence[StyleLayer]) -> StyleMoves:
    """The moves of a file, on the CPU; never more numbers than the style space has.

    Args:
        path: for messages.
        light: its header.
        tensors: of the file.
        layers: of the architecture that the header has.

    Raises:
        CheckpointError: tensors are missing, unknown, of another shape or type, or not finite.
    """
    expected = {name for kind in NEUTRAL if light.layers(kind) for name in (kind, f"{kind}{INDEX}")}
    if unknown := sorted(set(tensors) - expected):
        raise CheckpointError(f"{path}: {shown(unknown[0])} is no part of a light domain; copy or fetch it again")
    moves = StyleMoves()
    for kind in NEUTRAL:
        widths = _widths(path, light.layers(kind), layers)
        if widths:
            values = _unpacked(path, kind, tensors, sum(widths.values()))
            moves = moves.with_(kind, dict(zip(widths, torch.split(values, list(widths.values())), strict=True)))
    return moves


def _widths(path: Path, names: Sequence[str], layers: Sequence[StyleLayer]) -> dict[str, int]:
    known = {layer.name: layer.num_channels for layer in layers}
    if len(set(names)) < len(names):
        raise CheckpointError(f"{path}: it names a layer twice; copy or fetch it again")
    for name in names:
        if name not in known:
            raise CheckpointError(f"{path}: it moves {shown(name)}, which its architecture does not have")
    return {name: known[name] for name in names}


def _unpacked(path: Path, kind: Kind, tensors: Mapping[str, Tensor], count: int) -> Tensor:
    """Values [C] of a kind, neutral where nothing is said."""
    values, channels = tensors.get(kind), tensors.get(f"{kind}{INDEX}")
    if values is None or values.dtype != torch.float32 or values.ndim != 1 or not values.isfinite().all():
        raise CheckpointError(f"{path}: {kind!r} is no list of finite float32; copy or fetch it again")
    if channels is None:
        if len(values) != count:
            raise CheckpointError(f"{path}: {kind!r} has {len(values)} numbers; its layers have {count} channels")
        return values
    is_index = channels.dtype == torch.int32 and channels.shape == values.shape and bool((channels.diff() > 0).all())
    if not is_index or (len(channels) and not 0 <= int(channels[0]) <= int(channels[-1]) < count):
        raise CheckpointError(f"{path}: '{kind}{INDEX}' does not say which of {count} channels; copy or fetch it again")
    return torch.full((count,), NEUTRAL[kind]).index_copy(0, channels.long(), values)
