"""Weights rounded to float16: about half the bytes, and no longer quite the same generator.

The mapping network stays as it is: it is small, no adaptation trains it, its weights reach furthest, and so a latent
keeps its w in every domain.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nada.checkpoints.architecture import tensors_of
from nada.errors import CheckpointError
from nada.generators.registry import Network


def fp16_tensors(where: Path, generator: Network) -> dict[str, Tensor]:
    """Every tensor by name, the synthesis network's parameters in float16; its buffers, such as filters, stay too.

    Args:
        where: the file to be, for messages.
        generator: is left alone.

    Raises:
        CheckpointError: a value is beyond float16's range.
    """
    tensors = tensors_of(generator)
    for name, parameter in generator.synthesis.named_parameters(prefix="synthesis"):
        tensors[name] = tensors[name].half()
        if not tensors[name].isfinite().all():
            largest, limit = parameter.detach().abs().max().item(), torch.finfo(torch.float16).max
            raise CheckpointError(
                f"{where}: {name!r} holds {largest:g}, beyond float16's {limit:g}; store this generator in float32"
            )
    return tensors


@torch.no_grad()
def round_to_fp16(where: Path, generator: Network) -> None:
    """Round in place to what a file in float16 gives back.

    Raises:
        CheckpointError: as for `fp16_tensors`.
    """
    rounded = fp16_tensors(where, generator)
    for name, parameter in generator.named_parameters():
        parameter.copy_(rounded[name])  # exact where nothing was rounded
