"""One adapted row as a worker is asked for it, in a folder of its own, without a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nada.methods.registry import METHODS
from tasks.config.model import Params
from tasks.config.row import Row
from tasks.row import make
from tasks.row.job import GroupJob, RowJob, Source
from tasks.row.make import make_rows
from tasks.store.record import Making
from tasks.workers.news import Progress, RowEnded
from tests.rows import KEYS


class ProcessEndedError(Exception):
    """Stands for a process that ended in the middle of a row."""


def make_job(world: Path) -> RowJob:
    """A row of five steps, whose state is saved after every step."""
    params = Params.model_validate(
        {
            "night": {"checkpoint_minutes": 0.0},
            "generator": {"weights": "unused"},
            "guide": {
                "models": [{"name": "tiny-guide", "weights": str(world / "tiny-guide.safetensors")}],
                "config_dir": str(world),
            },
            "judge": {
                "model": {"name": "tiny-judge", "weights": str(world / "tiny-judge.safetensors")},
                "num_images": 6,
                "batch_size": 6,
            },
            "samples": {"count": 2},
            "adapt": {"iterations": 5, "ema": 0.5, "selection": {"k": 2, "batch_size": 2}},
        }
    )
    source = Source(base_path=str(world / "generator.safetensors"), base_sha256="b" * 64, base_name="tiny")
    return RowJob(
        row=Row(domain="sketch", source="photo", target="pencil sketch", line=2, recipe="style"),
        method=METHODS["adapt"],
        config=params.methods["adapt"],
        params=params,
        keys=KEYS,
        seed=3,
        source=source,
        targets={"sketch": "pencil sketch"},
        device="cpu",
        threads=1,
    )


@pytest.fixture
def job(tmp_path: Path, tiny_world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RowJob]:
    """See `make_job`; every step is told."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(make, "REPORT_SECONDS", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as a worker has
    yield make_job(tiny_world)
    torch.set_num_threads(before)


def with_config(job: RowJob, **options: Any) -> RowJob:
    """The job with other settings of its method."""
    return replace(job, config=job.config.model_copy(update=options))


def with_section(job: RowJob, section: str, **options: Any) -> RowJob:
    """The job with other settings of a section of params.yaml."""
    changed = getattr(job.params, section).model_copy(update=options)
    return replace(job, params=job.params.model_copy(update={section: changed}))


def make_alone(
    job: RowJob, hears: Callable[[Any], None] = lambda _: None, folder: Path | None = None
) -> tuple[RowEnded, list[str]]:
    """Make a row in a pass of its own: how it ended, and the notes on the way."""
    ends: list[RowEnded] = []
    notes: list[str] = []

    def tell(news: Any) -> None:
        hears(news)
        if isinstance(news, RowEnded):
            ends.append(news)
        elif news.note:
            notes.append(news.note)

    place = None if folder is None else str(folder)
    make_rows(GroupJob(rows=(job,), device=job.device, threads=job.threads, folder=place), tell)
    (end,) = ends
    assert end.domain == job.domain
    return end, notes


def make_well(job: RowJob, **arguments: Any) -> Making:
    """Make a row to its good end; its record."""
    end, _ = make_alone(job, **arguments)
    assert end.error is None, end.error
    assert isinstance(end.result, Making)
    return end.result


def end_at(step: int) -> Callable[[Any], None]:
    """Ends the process when a step is told, before its state is saved."""

    def hears(news: Any) -> None:
        if isinstance(news, Progress) and (news.phase, news.step, news.note) == ("make", step, ""):
            raise ProcessEndedError

    return hears


def interrupt(job: RowJob, step: int) -> None:
    """Let the process end when a step is told."""
    with pytest.raises(ProcessEndedError):
        make_alone(job, end_at(step))
