"""What a row needs before its first step, and nothing more: the rest waits until it is judged, or is known already."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from nada.errors import ImageError
from nada.images import read_images
from nada.judge import Judge
from tasks.plan.plan import make_plan
from tasks.row import make
from tasks.row.job import RowJob
from tasks.row.make import run_row
from tasks.store import feature_cache
from tasks.workers.pool import Progress
from tests.project import SKETCH, Project, project, row_bytes

__all__ = ["project"]

TWIN = "twin,portrait,oil painting,style,world/truth"


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was read and judged, in order; nothing is warm."""
    happened: list[str] = []
    original = Judge.features

    def reading(path: Path, resolution: int) -> Tensor:
        happened.append("read")
        return read_images(path, resolution)

    def judging(judge: Judge, img_u8: Tensor) -> object:
        happened.append("judge")
        return original(judge, img_u8)

    monkeypatch.setattr(make, "_warm", {})
    monkeypatch.setattr(make, "read_images", reading)
    monkeypatch.setattr(feature_cache, "read_images", reading)
    monkeypatch.setattr(Judge, "features", judging)
    return happened


def jobs(project: Project) -> list[RowJob]:
    project.prompts(SKETCH, TWIN)
    plan = make_plan(Path("params.yaml"))
    return [plan.job(planned) for planned in plan.rows]


def run(job: RowJob, events: list[str]) -> list[str]:
    """What happened until the first step was told, and from there on, with a mark between."""

    def hear(progress: Progress) -> None:
        if progress.phase == "adapt" and "step" not in events:
            events.append("step")

    events.clear()
    run_row(job, hear)
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
    monkeypatch.setattr(make, "_warm", {})
    assert "read" not in run(second, events)


def test_nothing_is_judged_before_the_training_even_on_a_cold_worker(project: Project, events: list[str]) -> None:
    happened = run(jobs(project)[0], events)
    assert happened[: happened.index("step")] == ["read"]
    assert "judge" in happened[happened.index("step") :]


def test_known_references_change_no_byte(project: Project, events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs(project)[0]
    run(job, events)
    cold = row_bytes(project.folder, "sketch")
    run(job, events)
    monkeypatch.setattr(make, "_warm", {})
    run(job, events)
    assert row_bytes(project.folder, "sketch") == cold


def test_a_damaged_picture_is_found_before_the_row_is_paid_for(project: Project, events: list[str]) -> None:
    job = jobs(project)[0]
    picture = Path("world/truth/3.png")
    picture.write_bytes(picture.read_bytes()[:-30])
    with pytest.raises(ImageError, match=r"world/truth/3\.png: damaged image"):
        run(job, events)
    assert "step" not in events
