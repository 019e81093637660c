"""Smaller pictures from a MobileStyleGAN: its first blocks, and a distilled part in the place of those above.

    the whole     mapping, b4, b8, b16, b32, b64, b128, b256, b512, torgb                 1024 px
    the part      of b32 what was trained, b64 and b128 of half the channels, and a torgb that reads b128
    together      mapping, b4, b8, b16, b32, b64, b128, torgb                              256 px

A part is a safetensors file of float16 by the names that the tensors have in the result, and holds only what the whole
does not. It is small, and may travel where the whole may not. Its shapes tell the channels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nada.atomic import replacing
from nada.checkpoints.architecture import check_tensors, tensors_of
from nada.checkpoints.openvino.mobilestylegan import build_mobilestylegan
from nada.checkpoints.safetensors_header import read_metadata
from nada.errors import CheckpointError, OutputError, shown
from nada.generators.mobilestylegan.network import MobileStyleGAN
from nada.generators.registry import Network

METADATA = {"nada_part": "1"}
BLOCK = re.compile(r"synthesis\.b(\d{1,4})\.")
OF_RGB = "synthesis.torgb."


def compose(path: Path, whole: Network, part: Mapping[str, Tensor]) -> MobileStyleGAN:
    """The generator of the whole's first blocks and the part's tensors.

    Args:
        path: the part's file, for messages.
        whole: whose other blocks are left out.
        part: tensors by their names in the result; the last block that it names decides the resolution, and its
            blocks may have fewer channels than the whole's.

    Raises:
        CheckpointError: not a MobileStyleGAN, or a part of another one.
    """
    if not isinstance(whole, MobileStyleGAN):
        raise CheckpointError(f"{path}: a part of a MobileStyleGAN does not fit to a {type(whole).__name__}")
    blocks = [int(match[1]) for match in map(BLOCK.match, part) if match]
    if not blocks or max(blocks) not in whole.config.sizes:
        found = f"block b{max(blocks)}" if blocks else "no block"
        raise CheckpointError(f"{path}: {found} in it; expected one of {', '.join(map(str, whole.config.sizes))}")
    kept = {name: tensor for name, tensor in whole.state_dict().items() if _is_below(name, max(blocks))}
    return build_mobilestylegan(path, kept | dict(part))


def save_part(path: Path, whole: Network, smaller: Network) -> None:
    """Write what a smaller generator has and the whole does not, in float16.

    Raises:
        CheckpointError: a value is beyond float16's range.
        OutputError: the folder cannot be written.
    """
    before = tensors_of(whole)
    changed = {
        name: tensor.half()
        for name, tensor in tensors_of(smaller).items()
        if name.startswith(OF_RGB) or not torch.equal(tensor, before[name])
    }
    for name, tensor in changed.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{path}: {name!r} is beyond float16's range")
    with replacing(path) as partial:
        try:
            save_file(changed, partial, METADATA)
        except SafetensorError as err:
            raise OutputError(f"{path}: cannot be written ({err})") from err


def read_part(path: Path) -> dict[str, Tensor]:
    """The tensors of a part by name.

    Raises:
        CheckpointError: truncated, or not a part.
    """
    if read_metadata(path) != METADATA:
        raise CheckpointError(f"{path}: not a part of a generator; expected the metadata {shown(METADATA)}")
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    check_tensors(path, tensors)
    return tensors


def _is_below(name: str, last: int) -> bool:
    """Whether a tensor of the whole is of its mapping or of a block up to the last."""
    block = BLOCK.match(name)
    return not name.startswith(OF_RGB) and (block is None or int(block[1]) <= last)
