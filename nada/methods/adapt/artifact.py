"""How an adapted generator is written and opened: what changed, everything, or everything in half the bytes.

What changed of a light one are kilobytes that move its styles. That needs the pretrained generator below it: on a row
that has weights of its own, and where everything is to be kept, the styles' moves are folded into weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nada.checkpoints.base_model import Parent
from nada.checkpoints.canonical import (
    load_generator,
    load_light,
    read_header,
    save_delta,
    save_fp16,
    save_generator,
    save_light,
)
from nada.checkpoints.fp16 import round_to_fp16
from nada.generators.light.generator import LightGenerator, whole
from nada.generators.registry import Network
from nada.images import levels_apart
from nada.judge.samples import fixed_latents, render
from nada.methods.adapt.record import Rounding
from nada.methods.base import Storage
from nada.methods.models import Models

WEIGHTS_NAME = "generator.safetensors"


def as_stored(target: Network | LightGenerator, storage: Storage, models: Models) -> Network | LightGenerator:
    """The adapted generator as its file will hold it: light, or with weights of its own."""
    is_light = isinstance(target, LightGenerator) and target.base is models.base and storage == "delta"
    return target if is_light else whole(target)


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


def save(
    folder: Path, target: Network | LightGenerator, storage: Storage, models: Models, name: str = WEIGHTS_NAME
) -> tuple[str, ...]:
    """Write what `as_stored` returned into a row's folder.

    Returns:
        sha256 of the base models that the file rebuilds from.

    Raises:
        CheckpointError, OutputError: as the writers do.
    """
    path = folder / name
    if isinstance(target, LightGenerator):
        save_light(path, target, Parent.of(models.base_path, models.base_name, models.base_sha256))
        return (models.base_sha256,)
    if storage == "delta":
        return (save_delta(path, target, models.base_path, models.base_name).sha256,)
    write = save_fp16 if storage == "fp16" else save_generator
    write(path, target)
    return ()


def load(folder: Path, models: Models) -> Network | LightGenerator:
    """The generator of a row; a light one shares the pretrained generator of `models`.

    Raises:
        CheckpointError: its file is missing or damaged, or what it rebuilds from is not there.
    """
    path = folder / WEIGHTS_NAME
    if read_header(path).light is not None:
        return load_light(path, models.base, models.base_sha256)
    return load_generator(path, models.device, [models.base_path.parent])
