"""What a row needs before its first step, and nothing more: the rest waits until it is judged, or is known already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nada.judge import features
from nada.picture_files import read_images
from tasks.caches import feature_cache
from tasks.plan.planning import make_plan
from tasks.row import models
from tasks.row.evaluate import evaluate_row
from tasks.row.job import EvaluateJob, GroupJob
from tasks.row.make import make_rows
from tasks.workers.news import Progress, RowEnded
from tests.project import SKETCH, Project, project, row_bytes

__all__ = ["project"]

TWIN = "twin,portrait,oil painting,style,world/truth"
Jobs = tuple[GroupJob, EvaluateJob]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was read and judged, in order; nothing is warm."""
    happened: list[str] = []
    embed = features.embed_images_batched

    def reading(path: Path, resolution: int) -> Tensor:
        happened.append("read")
        return read_images(path, resolution)

    def judging(*arguments: Any) -> object:
        happened.append("judge")
        return embed(*arguments)

    forget(monkeypatch)
    monkeypatch.setattr(models, "read_images", reading)
    monkeypatch.setattr(feature_cache, "read_images", reading)
    monkeypatch.setattr(features, "embed_images_batched", judging)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as a worker has
    yield happened
    torch.set_num_threads(before)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a fresh process."""
    monkeypatch.setattr(models, "_warm", {})
    monkeypatch.setattr(models, "_networks", {})


def jobs(project: Project) -> list[Jobs]:
    project.prompts(SKETCH, TWIN)
    plan = make_plan(Path("params.yaml"))
    return [(plan.group_job([planned]), plan.evaluate_job(planned)) for planned in plan.rows]


def make(job: Jobs, events: list[str]) -> RowEnded:
    """Make the row, with a mark where its first step was told."""
    ends: list[RowEnded] = []

    def hear(news: Any) -> None:
        if isinstance(news, RowEnded):
            ends.append(news)
        elif isinstance(news, Progress) and (news.phase, news.note) == ("make", "") and "step" not in events:
            events.append("step")

    events.clear()
    make_rows(job[0], hear)
    return ends[0]


def run(job: Jobs, events: list[str]) -> list[str]:
    """What happened until the row was made, then until it was judged."""
    assert make(job, events).error is None
    evaluate_row(job[1], lambda _: None)
    return events


def test_a_second_row_on_a_worker_opens_no_picture_of_known_references(project: Project, events: list[str]) -> None:
    first, second = jobs(project)
    assert run(first, events).count("read") == 2
    assert "read" not in run(second, events)


def test_another_worker_or_night_opens_no_picture_either(
    project: Project, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = jobs(project)
    run(first, events)
    forget(monkeypatch)
    assert "read" not in run(second, events)


def test_nothing_is_judged_while_a_row_is_made_even_on_a_cold_worker(project: Project, events: list[str]) -> None:
    job = jobs(project)[0]
    assert make(job, events).error is None
    assert events == ["read", "step"]
    evaluate_row(job[1], lambda _: None)
    assert "judge" in events[2:]


def test_a_sources_pictures_are_judged_once(project: Project, events: list[str]) -> None:
    first, second = jobs(project)
    batches = 2  # 16 pictures in batches of 8
    assert run(first, events).count("judge") == batches * 2 + 1  # source, row, and 8 references
    assert run(second, events).count("judge") == batches


def test_known_references_change_no_byte(project: Project, events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs(project)[0]
    run(job, events)
    cold = row_bytes(project.folder, "sketch")
    run(job, events)
    forget(monkeypatch)
    run(job, events)
    assert row_bytes(project.folder, "sketch") == cold


def test_a_damaged_picture_is_found_before_the_row_is_paid_for(project: Project, events: list[str]) -> None:
    job = jobs(project)[0]
    picture = Path("world/truth/3.png")
    picture.write_bytes(picture.read_bytes()[:-30])
    error = make(job, events).error
    assert error is not None and error[0] == "ImageError"
    assert error[1].startswith("world/truth/3.png: damaged image")
    assert events == ["read"]
