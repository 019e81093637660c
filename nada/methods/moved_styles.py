"""Domains that are one offset of the styles of another domain, whatever that is: what methods leave that work in S.

StyleCLIP's global directions (arXiv:2103.17249) and StyleDomain's domains (arXiv:2212.10229) are one offset for every
latent: s' = s + offset. Offsets add, and are kilobytes. `nada.generators.light` moves the styles, of a pretrained
generator as of what another row left.
Legend: N batch, C channels, L style layers, W_DIM latent width, R resolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nada.atomic import replacing
from nada.errors import CheckpointError
from nada.generators.domain import Domain
from nada.generators.light.generator import LightSynthesis
from nada.generators.light.moves import StyleMoves
from nada.methods.edited_domain import EditedDomain

OFFSET_NAME = "offset.safetensors"
"""The file of a domain that is a style offset: a tensor [C] by the name of each layer whose styles move."""


def offset_domain(source: Domain, offsets: Mapping[str, Tensor]) -> EditedDomain:
    """The source, its styles moved by offsets [C] by layer."""
    return EditedDomain(source, LightSynthesis(source.synthesis, StyleMoves(offset=offsets)))


def save_offsets(path: Path, offsets: Mapping[str, Tensor]) -> None:
    """Write offsets [C] by layer; layers that do not move are left out.

    Raises:
        OutputError: the folder cannot be written.
    """
    moved = {name: offset.detach().cpu().contiguous() for name, offset in offsets.items() if offset.any()}
    with replacing(path) as partial:
        save_file(moved, partial)


def load_offsets(path: Path, source: Domain) -> dict[str, Tensor]:
    """Offsets [C] by layer, on the source's device.

    Raises:
        CheckpointError: the file is missing, damaged, or of another generator's style space.
    """
    device = str(next(iter(source.parameters())).device)
    try:
        offsets: dict[str, Tensor] = load_file(path, device)
    except (SafetensorError, OSError) as err:
        raise CheckpointError(f"{path}: no style offsets ({err})") from err
    with torch.no_grad():
        styles = source.synthesis.styles(torch.zeros(1, source.num_ws, source.w_dim, device=device))
    for name, offset in offsets.items():
        if name not in styles:
            raise CheckpointError(f"{path}: offsets of {name!r}, a style layer that the source does not have")
        if offset.shape != styles[name].shape[1:] or offset.dtype != torch.float32:
            found, expected = f"{offset.dtype} {list(offset.shape)}", list(styles[name].shape[1:])
            raise CheckpointError(f"{path}: {name}: offsets {found}; the source has styles of float32 {expected}")
        if not offset.isfinite().all():
            raise CheckpointError(f"{path}: {name}: an offset that is not finite")
    return offsets
