"""How many rows a GPU takes at once, by its free memory and by what a row needs. Pure: others ask the GPU.

None of this was run on a GPU. What a row needs is estimated from figures of a CPU (docs/results.md) until rows that a
GPU has made tell how much they took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nada.config import ClipConfig, Section, names_a_file
from nada.methods.base import Method
from tasks.config.model import Params
from tasks.download.judge_weights import wanted
from tasks.plan.estimate import MeasuredRow, recipe_of

if TYPE_CHECKING:
    from nada.generators.registry import Architecture  # which imports torch

GIB = 1 << 30
CONTEXT_BYTES = GIB  # CUDA's own, and its libraries', in each process; a guess on the safe side
GUIDE_BYTES = int(0.6 * GIB)  # weights of a ViT-B/32, where only their tag is known
GUIDE_PICTURE_BYTES = int(0.1 * GIB)  # a ViT-B/32's graph of one picture; a guess on the safe side
COPIES = 6  # of the generator: source, target, gradients, Adam's two moments, the average
RENDER_BYTES = GIB  # `tasks.row.samples` renders a megapixel at once, which took about that
SAFETY = 1.25  # blocks that the allocator cannot fill
MAX_EACH = 4
"""More rows on one GPU would wait for each other: not measured, so not planned. `night.workers` can ask for them."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """The memory of one row on a GPU."""

    num_bytes: int
    basis: Literal["measured", "estimated"]


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What `night.workers: auto` found on this machine's GPUs."""

    free: Mapping[str, int]
    """GPU -> free bytes."""
    need: Need
    """Of the largest row."""
    each: Mapping[str, int]
    """GPU -> workers."""


def share_gpus(free: Mapping[str, int], need: Need, cores: int, num_rows: int) -> Capacity:
    """As many workers on each GPU as memory, cores and rows allow, at most MAX_EACH and at least one.

    >>> need = Need(num_bytes=4 * GIB, basis="estimated")
    >>> dict(share_gpus({"cuda:0": 79 * GIB, "cuda:1": 9 * GIB}, need, cores=16, num_rows=100).each)
    {'cuda:0': 4, 'cuda:1': 2}
    """
    by_cores, by_rows = cores // len(free), -(-num_rows // len(free))
    each = {
        device: max(1, min(MAX_EACH, num_bytes // need.num_bytes, by_cores, by_rows))
        for device, num_bytes in free.items()
    }
    return Capacity(free=free, need=need, each=each)


def largest_need(
    configs: Sequence[tuple[Method[Any, Any], Section]],
    params: Params,
    architecture: Architecture,
    model_bytes: int,
    samples: Sequence[MeasuredRow],
) -> Need:
    """What the largest row of a night needs.

    Args:
        configs: methods and settings of the rows.
        params: whose `night.micro_batch` bounds the pictures at once.
        architecture: of the generator.
        model_bytes: of its file and those of the CLIPs, as `models_bytes` says.
        samples: earlier rows of this generator.
    """
    needs = [_need(method, config, params, architecture, model_bytes, samples) for method, config in configs]
    return max(needs, key=lambda need: need.num_bytes)


def _need(
    method: Method[Any, Any],
    config: Section,
    params: Params,
    architecture: Architecture,
    model_bytes: int,
    samples: Sequence[MeasuredRow],
) -> Need:
    recipe = recipe_of(method, config)
    peaks = [sample.gpu_bytes for sample in samples if sample.gpu_bytes and sample.recipe == recipe]
    if peaks:
        return Need(num_bytes=CONTEXT_BYTES + round(SAFETY * max(peaks)), basis="measured")
    picture = architecture.graph_bytes() + GUIDE_PICTURE_BYTES * len(params.guide.models)
    at_once = None if params.night.micro_batch == "auto" else params.night.micro_batch
    work = max(RENDER_BYTES, method.graph_bytes(config, architecture, picture, at_once))
    return Need(num_bytes=CONTEXT_BYTES + round(SAFETY * (model_bytes + work)), basis="estimated")


def models_bytes(generator_path: Path, params: Params) -> int:
    """Everything that a worker keeps loaded, by the sizes of the files."""
    clips: list[ClipConfig] = [*params.guide.models, params.judge.model]
    files = [Path(clip.weights) for clip in clips if names_a_file(clip.weights)]
    elsewhere = len(clips) - len(files) + len(list(wanted(params.judge)))
    known = COPIES * generator_path.stat().st_size + sum(file.stat().st_size for file in files)
    return known + GUIDE_BYTES * elsewhere
