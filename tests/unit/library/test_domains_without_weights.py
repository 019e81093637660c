"""Finished domains whose method leaves no generator: drawn from what they build on, and neither mixed nor exported."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nada.checkpoints.canonical import load_generator, save_generator
from nada.errors import CheckpointError, ParentError, PromptsError
from nada.latents import draw_ws, seeded_rng
from tasks.config.project import HERE
from tasks.library.domains import open_domain
from tasks.plan.planning import make_plan
from tasks.row.models import warm_models
from tasks.store import base_models, row_folder
from tests.conftest import tiny_generator
from tests.methods.project import (
    OTHER,
    change,
    make_here,
    make_shift_project,
    one_thread,
    register,
    shift_project,
    write_prompts,
)
from tests.methods.shift.making import OFFSET_NAME
from tests.project import Project

__all__ = ["shift_project"]

BASE, FOLLOWER = "base,portrait,pencil sketch,,style", "follower,portrait,ink,shift,,base"
OWN, LEFT = f"own,portrait,watercolour,shift,,,{OTHER}", "left,portrait,robot,shift"
PARAMS = Path("params.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Path:
    """One row that leaves a generator and three that leave an offset, as a night leaves them."""
    folder = tmp_path_factory.mktemp("made")
    make_shift_project(folder, tiny_world)
    with pytest.MonkeyPatch.context() as patch, one_thread():
        register(patch)
        patch.chdir(folder)
        write_prompts(BASE, FOLLOWER, OWN, LEFT)
        plan = make_here("base", "follower", "own", "left")
        for path in plan.rebuilt_from:
            base_models.keep(path)
    return folder


@pytest.fixture
def project(made: Path, shift_project: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    """A copy of that project."""
    shutil.copytree(made, shift_project, dirs_exist_ok=True)
    return Project(shift_project, capsys)


def offset_of(domain: str) -> torch.Tensor:
    return load_file(HERE.adapted / domain / OFFSET_NAME)["offset"]


@pytest.mark.parametrize(
    ("domain", "source"),
    [("left", "world/generator.safetensors"), ("own", OTHER), ("follower", "weights/adapted/base")],
)
def test_it_draws_what_its_own_source_shows_of_moved_latents(project: Project, domain: str, source: str) -> None:
    path = Path(source)
    generator = load_generator(path / "generator.safetensors" if path.is_dir() else path)
    ws = draw_ws(3, generator, seeded_rng(0))
    opened = open_domain(domain, PARAMS, "cpu")
    assert torch.equal(opened.synthesis(ws), generator.synthesis(ws + offset_of(domain)))


def test_it_outlives_the_generator_of_params_yaml(project: Project) -> None:
    ws = draw_ws(3, tiny_generator(), seeded_rng(0))
    before = open_domain("left", PARAMS, "cpu").synthesis(ws)
    save_generator(Path("world/generator.safetensors"), tiny_generator(seed=5))
    assert project.nada("pretrained").status == 0
    assert torch.equal(open_domain("left", PARAMS, "cpu").synthesis(ws), before)
    kept = HERE.base_models / f"{row_folder.read_making('left').bases[0]}.safetensors"
    kept.unlink()
    with pytest.raises(ParentError) as caught:
        open_domain("left", PARAMS, "cpu")
    assert str(caught.value).startswith(
        f"weights/adapted/left: builds on the generator with sha256 {kept.stem}, which is in none of "
        "weights/adapted/_parents, weights/pretrained; copy that file into one of them; `nada pretrained` makes it"
    )


def test_what_rows_without_weights_build_on_is_kept_however_weights_are_stored(shift_project: Path) -> None:
    change("device: cpu", "device: cpu\n  storage: full")
    write_prompts(BASE, OWN)
    plan = make_plan(PARAMS)
    assert [str(path) for path in plan.rebuilt_from] == [plan.by_domain["own"].source.base_path]
    write_prompts(BASE)
    assert make_plan(PARAMS).rebuilt_from == []


def test_a_follower_is_not_drawn_on_another_result_than_it_was_made_on(project: Project) -> None:
    change("iterations: 4", "iterations: 3")  # of `base`
    make_here("base")
    with pytest.raises(CheckpointError) as caught:
        open_domain("follower", PARAMS, "cpu").mapping(torch.zeros(1, 8))
    assert str(caught.value) == (
        "follower: starts from 'base', which was made anew since; nada run makes follower again"
    )


def test_a_follower_that_is_only_to_be_judged_waits_for_what_it_starts_from(project: Project) -> None:
    shutil.rmtree(HERE.adapted / "base")
    plan = make_plan(PARAMS)
    assert {one.domain: one.state for one in plan.working} == {
        "base": "train", "follower": "judge", "own": "judge", "left": "judge"
    }  # fmt: skip
    assert "follower" not in plan.waiting(datetime.now().astimezone()).ready()
    with pytest.raises(PromptsError, match="'follower' starts from 'base', which is not finished; add --only base"):
        make_plan(PARAMS, ["follower"])


def test_samples_of_two_sources_are_never_taken_for_each_other(project: Project) -> None:
    plan = make_plan(PARAMS)
    identities = {warm_models(plan.job(plan.by_domain[name])).identity for name in ("left", "own", "follower", "base")}
    assert len(identities) == 3


@pytest.mark.parametrize("command", [["mix", "left:0.5"], ["video", "base", "left"], ["weights", "export", "left"]])
def test_it_is_neither_mixed_nor_exported(project: Project, command: list[str]) -> None:
    outcome = project.nada(*command)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == (
        "left: made by 'shift', which leaves no generator that could be exported or mixed; nada sample left draws it\n"
    )


def test_an_export_of_everything_leaves_it_out_and_says_so(project: Project) -> None:
    outcome = project.nada("weights", "export", "--all", "exported")
    assert outcome.status == 0
    assert outcome.out.startswith("Left no generator, so not exported: follower, left, own.\n")
    assert [path.name for path in Path("exported").iterdir()] == ["base.pkl"]


def test_it_is_sampled_and_filmed_like_any_other(project: Project) -> None:
    assert project.nada("sample", "left", "--count", "4").status == 0
    assert project.nada("mix", "left", "--count", "4", "--out", "again.png").status == 0
    assert Path("left.png").read_bytes() == Path("again.png").read_bytes()
    assert project.nada("strip", "--count", "2").status == 0
    assert project.nada("video", "follower", "--seconds", "0.3", "--keys", "3", "--out", "walk.gif").status == 0
    assert Path("walk.gif").is_file()
