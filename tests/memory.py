"""Jobs that take memory, and tell of it, for a worker that gives it back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

BLOCKS, BLOCK_FLOATS = 64, 1 << 20

_kept: list[torch.Tensor] = []


def resident(job: Any, tell: Any) -> int:
    """MiB of this process's own; what it maps of files the kernel takes away whenever memory is short."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) >> 10


def leave_holes(job: Any, tell: Any) -> int:
    """Take 256 MiB in blocks, and free them, but for something small behind each; MiB of the process then."""
    blocks = []
    for _ in range(BLOCKS):
        blocks.append(torch.ones(BLOCK_FLOATS))
        _kept.append(torch.ones(BLOCK_FLOATS // 32))
    del blocks
    return resident(job, tell)
