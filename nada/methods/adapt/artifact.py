"""How an adapted generator is written and opened: what changed, everything, or everything in half the bytes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nada.checkpoints.canonical import load_generator, save_delta, save_fp16, save_generator
from nada.checkpoints.fp16 import round_to_fp16
from nada.generators.registry import Network
from nada.images import levels_apart
from nada.judge.samples import fixed_latents, render
from nada.methods.adapt.record import Rounding
from nada.methods.base import Storage
from nada.methods.models import Models

WEIGHTS_NAME = "generator.safetensors"


def round_as_stored(row: str, target: Network, models: Models) -> Rounding:
    """Round the weights in place to what a file in float16 will give back, so that judged is what is kept.

    Args:
        row: for messages.
        target: the adapted generator.
        models: whose `samples` say which pictures are compared.

    Returns:
        How far apart pictures before and after are.

    Raises:
        CheckpointError: a weight is beyond float16's range.
    """
    ws = fixed_latents(target, models.samples.count, models.samples.truncation_psi)

    def pictures() -> Tensor:
        return torch.cat(list(render(target, ws, models.clips.judge_config.batch_size)))

    before = pictures()
    round_to_fp16(Path(row), target)
    largest, mean = levels_apart(before, pictures())
    return Rounding(largest_levels=largest, mean_levels=mean, num_images=len(ws))


def save(folder: Path, target: Network, storage: Storage, models: Models) -> tuple[str, ...]:
    """Write the weights into a row's folder.

    Returns:
        sha256 of the base models that the file rebuilds from.

    Raises:
        CheckpointError, OutputError: as the writers do.
    """
    path = folder / WEIGHTS_NAME
    if storage == "delta":
        return (save_delta(path, target, models.base_path, models.base_name).sha256,)
    write = save_fp16 if storage == "fp16" else save_generator
    write(path, target)
    return ()


def load(folder: Path, models: Models) -> Network:
    """The generator of a row.

    Raises:
        CheckpointError: its file is missing or damaged, or what it rebuilds from is not there.
    """
    return load_generator(folder / WEIGHTS_NAME, models.device, [models.base_path.parent])
