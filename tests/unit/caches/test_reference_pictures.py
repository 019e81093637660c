"""Reference pictures are opened and hashed once, and again whenever somebody touched them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from PIL import Image

from nada import picture_files
from nada.errors import ImageError, PromptsError
from nada.picture_sets import PictureSet
from tasks.caches import reference_pictures, stat_cache
from tasks.caches.reference_pictures import look
from tasks.config.project import HERE
from tasks.keys.inputs import reference_hash
from tasks.plan.planning import make_plan
from tests.project import SKETCH, Project, project

__all__ = ["project"]

TRUTH = "world/truth"
ROWS = [SKETCH, *(f"{name},portrait,{name},style,{TRUTH}" for name in ("robot", "sepia"))]


@pytest.fixture
def opened(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The sets whose pictures were opened; those of the project were touched last an hour ago."""
    original, paths = picture_files.check_images, []

    def counting(path: Path) -> PictureSet:
        paths.append(path)
        return original(path)

    monkeypatch.setattr(picture_files, "check_images", counting)
    monkeypatch.setattr(stat_cache, "SETTLED_NS", -3_600_000_000_000)  # the time of change cannot be set back
    return paths


def plan_in_a_new_process() -> list[str]:
    reference_pictures._known.cache_clear()
    return [planned.keys.evaluation for planned in make_plan(Path("params.yaml")).rows]


def test_rows_that_share_references_open_them_once(project: Project, opened: list[Path]) -> None:
    project.prompts(*ROWS)
    make_plan(Path("params.yaml"))
    assert opened == [Path(TRUTH)]


def test_a_later_plan_opens_none_and_finds_the_same_keys(project: Project, opened: list[Path]) -> None:
    project.prompts(*ROWS)
    first = plan_in_a_new_process()
    opened.clear()
    assert plan_in_a_new_process() == first
    assert opened == []


@pytest.mark.parametrize("touch", ["written", "replaced", "added", "removed", "renamed"])
def test_touched_references_are_looked_at_again(project: Project, opened: list[Path], touch: str) -> None:
    project.prompts(SKETCH)
    before = plan_in_a_new_process()
    opened.clear()
    folder, picture = Path(TRUTH), Path(TRUTH, "3.png")
    stat = picture.stat()
    if touch == "written":
        Image.new("RGB", (16, 16), (90, 90, 161)).save(picture)
        os.utime(picture, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif touch == "replaced":
        Path(folder, "4.png").replace(picture)
    elif touch == "added":
        Image.new("RGB", (16, 16)).save(folder / "9.png")
    elif touch == "removed":
        picture.unlink()
    else:
        picture.rename(folder / "9.png")
    assert plan_in_a_new_process() != before
    assert opened == [folder]
    assert look(TRUTH).sha256 == reference_hash(TRUTH)


def test_references_that_changed_a_moment_ago_are_not_remembered(
    opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stat_cache, "SETTLED_NS", time.time_ns())
    look(TRUTH), look(TRUTH)
    assert opened == [Path(TRUTH)] * 2


def test_pictures_that_cannot_be_read_are_named_every_time(project: Project, opened: list[Path]) -> None:
    project.prompts(SKETCH)
    Path(TRUTH, "3.png").write_bytes(b"no picture")
    for _ in range(2):
        with pytest.raises(PromptsError, match=r"prompts\.csv:2: 'reference_images': world/truth/3\.png: not a read"):
            plan_in_a_new_process()
    with pytest.raises(ImageError, match="no such file or folder"):
        look("world/nowhere")


def test_rows_that_share_a_damaged_picture_open_it_once_until_somebody_touches_it(
    project: Project, opened: list[Path]
) -> None:
    project.prompts(*ROWS)
    picture = Path(TRUTH, "3.png")
    whole = picture.read_bytes()
    picture.write_bytes(whole[:-40])
    with pytest.raises(PromptsError) as caught:
        plan_in_a_new_process()
    assert str(caught.value).count("3.png: damaged image") == 3
    assert opened == [Path(TRUTH)]
    picture.write_bytes(whole)
    assert look(TRUTH).num_images == 8


@pytest.mark.parametrize("content", ["", "[]", '{"format": 2}', '{"format": 2, "known": {"a": ["x", 3]}}'])
def test_a_damaged_memory_is_made_again(project: Project, opened: list[Path], content: str) -> None:
    project.prompts(SKETCH)
    before = plan_in_a_new_process()
    HERE.known_references.write_text(content)
    assert plan_in_a_new_process() == before
    opened.clear()
    plan_in_a_new_process()
    assert opened == []


def test_a_memory_that_cannot_be_written_costs_only_time(project: Project, opened: list[Path]) -> None:
    project.prompts(SKETCH)
    HERE.known_references.mkdir(parents=True)
    assert plan_in_a_new_process() == plan_in_a_new_process()
    assert opened == [Path(TRUTH)] * 2
