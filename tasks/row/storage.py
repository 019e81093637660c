"""How an adapted generator is written: what changed, everything, or everything in half the bytes (night.storage)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nada.checkpoints import round_to_fp16, save_delta, save_fp16, save_generator
from nada.generators.registry import Network
from nada.images import levels_apart
from tasks.row.job import RowJob
from tasks.row.samples import render
from tasks.store.row_folder import WEIGHTS_NAME


def round_as_stored(target: Network, ws: Tensor, job: RowJob) -> dict[str, Any] | None:
    """Round the weights in place to what the file will give back, so that judged is what is kept.

    Args:
        target: the adapted generator.
        ws: latents of the pictures compared, [N, L, W_DIM].
        job: its `night.storage` decides.

    Returns:
        How far apart pictures before and after are, in 8-bit levels; None where storing is exact.

    Raises:
        CheckpointError: a weight is beyond float16's range.
    """
    if job.params.night.storage != "fp16":
        return None
    before = torch.cat(list(render(target, ws, job.params.judge.batch_size)))
    round_to_fp16(Path(job.row.domain), target)
    after = torch.cat(list(render(target, ws, job.params.judge.batch_size)))
    largest, mean = levels_apart(before, after)
    return {"largest_levels": largest, "mean_levels": mean, "num_images": len(ws)}


def store(folder: Path, target: Network, job: RowJob) -> dict[str, Any]:
    """Write the weights into a row's folder as `night.storage` says.

    Returns:
        {"kind"}, and of a delta {"parent": sha256 of the file that it rebuilds from}.

    Raises:
        CheckpointError, OutputError: as the writers do.
    """
    path, kind = folder / WEIGHTS_NAME, job.params.night.storage
    if kind == "delta":
        parent = save_delta(path, target, Path(job.generator_path), Path(job.params.generator.weights).name)
        return {"kind": kind, "parent": parent.sha256}
    write = save_fp16 if kind == "fp16" else save_generator
    write(path, target)
    return {"kind": kind}
