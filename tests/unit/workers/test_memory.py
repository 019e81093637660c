"""A worker gives back what a job left free: a long night takes no more than its largest row."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from tasks.workers.local import WorkerPool
from tasks.workers.pool import WorkerSpec


@dataclass(frozen=True)
class Job:
    device: str = ""
    threads: int = 0


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim is glibc's")
def test_what_a_job_freed_is_no_longer_the_workers() -> None:
    with WorkerPool([WorkerSpec(device="cpu", threads=1)]) as pool:

        def mebibytes(function: str) -> int:
            taken: int = pool.run(f"tests.memory:{function}", Job(), timeout_seconds=600.0)
            return taken

        before = mebibytes("resident")
        assert mebibytes("leave_holes") > before + 250
        assert mebibytes("resident") < before + 50
