"""What a latent optimisation leaves: an offset in W, W+ or S that moves every latent, as it moved the one.

    offset.safetensors   `w` [1 or L, W_DIM], or a tensor [C] by the name of each style layer
    latent.npz           the latent from which it was found
    edit.webp            that one's picture, before and after

Legend: N batch, L style layers, W_DIM latent width, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nada.atomic import replacing
from nada.errors import CheckpointError
from nada.generators.domain import Domain
from nada.methods.edited_domain import EditedDomain, MovedLatents
from nada.methods.models import Models
from nada.methods.moved_styles import OFFSET_NAME, load_offsets, offset_domain, save_offsets

LATENT_NAME, EDIT_NAME = "latent.npz", "edit.webp"
IN_W = "w"
"""The one offset in W or W+; no style layer bears this name."""

Offsets = Mapping[str, Tensor]
"""`w` [1, W_DIM] or [L, W_DIM]; or [C] by the name of each style layer."""


class LatentOffset(nn.Module):
    """ws [N, L, W_DIM] -> ws + offset, the same for every latent.

    Args:
        offset: [1, W_DIM] or [L, W_DIM].
    """

    offset: Tensor

    def __init__(self, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("offset", offset)

    def forward(self, ws: Tensor) -> Tensor:
        return ws + self.offset


def edited(source: Domain, offsets: Offsets) -> EditedDomain:
    """The source, its latents or styles moved."""
    if IN_W in offsets:
        return EditedDomain(source, MovedLatents(source, LatentOffset(offsets[IN_W])))
    return offset_domain(source, offsets)


def save(path: Path, offsets: Offsets) -> None:
    """Write offsets.

    Raises:
        OutputError: the folder cannot be written.
    """
    if IN_W not in offsets:
        save_offsets(path, offsets)
        return
    with replacing(path) as partial:
        save_file({IN_W: offsets[IN_W].detach().cpu().contiguous()}, partial)


def load(folder: Path, models: Models) -> EditedDomain:
    """What a row left.

    Raises:
        CheckpointError: its file is missing, damaged, or of another generator.
    """
    path, source = folder / OFFSET_NAME, models.source
    try:
        with safe_open(path, framework="pt") as file:
            is_in_w = IN_W in file.keys()  # noqa: SIM118
        offsets = load_file(path, models.device) if is_in_w else load_offsets(path, source)
    except (SafetensorError, OSError) as err:
        raise CheckpointError(f"{path}: no offset ({err})") from err
    if is_in_w and (set(offsets) != {IN_W} or not bool(offsets[IN_W].isfinite().all())):
        raise CheckpointError(f"{path}: no offset alone, or one that is not finite")
    if is_in_w and tuple(offsets[IN_W].shape) not in {(1, source.w_dim), (source.num_ws, source.w_dim)}:
        expected = f"{source.num_ws} rows of {source.w_dim}"
        raise CheckpointError(f"{path}: an offset {list(offsets[IN_W].shape)}; the source has latents of {expected}")
    return edited(source, offsets)
