"""Rows on a device: the same bytes twice and after an end, two at once, and less at once where memory is short."""

from __future__ import annotations

import copy
import resource
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nada.generators.registry import Network
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from nada.latents import draw_ws, seeded_rng
from nada.micro_batch import MicroBatch, parts
from tasks.config.project import HERE
from tasks.row.job import GroupJob, RowJob
from tasks.store.record import MAKING_NAME
from tasks.workers.local import WorkerPool
from tasks.workers.news import RowEnded
from tasks.workers.pool import MAKE_ROWS, WorkerSpec
from tests.jobs import interrupt, job, make_well
from tests.project import Project, project

__all__ = ["job", "project"]

ROOM = 128 << 20  # bytes, for what a picture's graph keeps
MANY = 128  # pictures whose graphs take more than that
TIMEOUT_SECONDS = 300.0


@pytest.fixture
def row(job: RowJob, device: str) -> RowJob:
    """A row of the tiny world on the device."""
    return replace(job, device=device)


def made(domain: str = "sketch") -> dict[str, bytes]:
    """A row's published files but for its record; they are removed."""
    folder = HERE.adapted / domain
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MAKING_NAME}
    shutil.rmtree(folder)
    return files


def test_the_same_row_twice_has_the_same_bytes(row: RowJob, device: str) -> None:
    making = make_well(row)
    assert making.device == device
    assert (making.gpu_bytes is None) == (device == "cpu")
    once = made()
    make_well(row)
    assert made() == once


def test_a_row_whose_process_ended_goes_on_to_the_same_bytes(row: RowJob) -> None:
    make_well(row)
    undisturbed = made()
    interrupt(row, step=3)
    assert make_well(row).trained_steps == 5
    assert made() == undisturbed


def test_two_rows_share_a_card(row: RowJob, device: str) -> None:
    rows = [replace(row, row=replace(row.row, domain=domain)) for domain in ("sketch", "robot")]

    def through(pool: WorkerPool, one: RowJob) -> None:
        heard: list[Any] = []
        group = GroupJob(rows=(one,), device=device, threads=1)
        pool.run(MAKE_ROWS, group, heard.append, timeout_seconds=TIMEOUT_SECONDS, about=one.domain)
        assert [news.error for news in heard if isinstance(news, RowEnded)] == [None]

    with WorkerPool([WorkerSpec(device=device, threads=1)] * 2) as pool:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(through, [pool] * 2, rows))
        together = {one.domain: made(one.domain) for one in rows}
        for one in rows:
            through(pool, one)
        assert {one.domain: made(one.domain) for one in rows} == together


@pytest.mark.usefixtures("whole_float32")
def test_what_does_not_fit_is_halved_until_it_does(device: str) -> None:
    torch.manual_seed(0)
    config = StyleGAN2Config(z_dim=8, w_dim=8, resolution=64, channel_base=1024, channel_max=32, mapping_layers=2)
    generator = StyleGAN2(config).eval().to(device)
    ws = draw_ws(MANY, generator, seeded_rng(0))
    few, fitted = MicroBatch(16), MicroBatch(MANY)
    expected = gradients(generator, ws, few)
    with room_for(ROOM, device):
        found = gradients(generator, ws, fitted)
    assert few.size == 16 and 1 <= fitted.size < MANY
    assert float((found - expected).norm() / expected.norm()) < 1e-4


def gradients(generator: Network, ws: Tensor, micro_batch: MicroBatch) -> Tensor:
    """Of a mean over all pictures, as many at once as there is room for."""
    learns = copy.deepcopy(generator).requires_grad_(True)

    def work(size: int) -> Tensor:
        learns.zero_grad(set_to_none=True)
        for part in parts(len(ws), size):
            learns.synthesis(ws[part]).square().sum().div(len(ws)).backward()
        found = [weight.grad.flatten() for weight in learns.parameters() if weight.grad is not None]
        return torch.cat(found)

    return micro_batch.fit("a test", len(ws), work)


@contextmanager
def room_for(num_bytes: int, device: str) -> Iterator[None]:
    """Only so much more memory within the block."""
    if device == "cpu":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + num_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved(device) + num_bytes) / total, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def test_bench_measures_a_step(project: Project, device: str) -> None:
    outcome = project.nada("bench", "--device", device, "--steps", "1", "--only", "adapt, full")
    assert (outcome.status, outcome.err) == (0, "")
    assert f"; {device}, 1 thread(s) a worker; world/generator.safetensors" in outcome.out
    cells = [cell.strip() for cell in outcome.out.splitlines()[-1].strip("|").split("|")]
    assert cells[:2] == ["own", "adapt, full"]
    assert all(float(cell) >= 0 for cell in cells[2:])
