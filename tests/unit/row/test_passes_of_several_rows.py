"""Several rows in one pass of the tests' own method: made, lost, saved and gone on from one by one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nada.errors import CheckpointError
from nada.methods.base import RowError
from tasks.config.project import HERE
from tasks.live.saved import forget, forget_finished, saved_rows
from tasks.plan.planning import make_plan
from tasks.row import make, resume_state
from tasks.row.job import GroupJob
from tasks.row.make import make_rows
from tasks.row.models import warm_models
from tasks.store import row_folder
from tasks.store.record import Making
from tasks.workers.news import Progress, RowEnded
from tests.methods.project import change, shift_project, write_prompts
from tests.methods.shift.making import OFFSET_NAME, load

__all__ = ["shift_project"]

pytestmark = pytest.mark.usefixtures("shift_project")
LEFT, RIGHT, WILD = "left,portrait,robot,shift", "right,portrait,neon edges,,far", "wild,portrait,broken glass,,wild"
FILES = {OFFSET_NAME, "trace.csv", "row.json"}


class ProcessEndedError(Exception):
    """Stands for a process that ended in the middle of a pass."""


@pytest.fixture(autouse=True)
def tells_and_saves_every_step(shift_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "REPORT_SECONDS", 0)
    change("workers: 2", "workers: 1\n  checkpoint_minutes: 0")


def group_job(*rows: str, **changes: Any) -> GroupJob:
    write_prompts(*rows)
    plan = make_plan(Path("params.yaml"))
    job = plan.group_job(plan.rows)
    return replace(job, rows=tuple(replace(row, **changes) for row in job.rows))


def run(job: GroupJob, hears: Callable[[Any], None] = lambda _: None) -> tuple[dict[str, RowEnded], list[str]]:
    """How each row ended, and the notes on the way."""
    ends: dict[str, RowEnded] = {}
    notes: list[str] = []

    def tell(news: Any) -> None:
        hears(news)
        if isinstance(news, RowEnded):
            assert news.domain not in ends
            ends[news.domain] = news
        elif news.note:
            notes.append(f"{news.domain}: {news.note}")

    make_rows(job, tell)
    return ends, notes


def published(*domains: str) -> dict[str, bytes]:
    return {f"{name}/{file}": (HERE.adapted / name / file).read_bytes() for name in domains for file in made_files()}


def made_files() -> list[str]:
    return sorted(FILES - {"row.json"})


def test_rows_of_one_pass_are_published_with_the_keys_of_all(shift_project: Path) -> None:
    job = group_job(LEFT, RIGHT)
    ends, _ = run(job)
    assert list(ends) == ["left", "right"]
    for row in job.rows:
        making = row_folder.read_making(row.domain)
        assert making == ends[row.domain].result
        assert {path.name for path in (HERE.adapted / row.domain).iterdir()} == FILES
        assert making.group == {row.domain: row.keys.making for row in job.rows}
        assert list(making.group) == ["left", "right"]
        assert (making.method, making.trained_steps, making.most_steps) == ("shift", 5, 5)
        assert making.bases == [row.source.base_sha256]
    assert published("left")[f"left/{OFFSET_NAME}"] != published("right")[f"right/{OFFSET_NAME}"]


def test_what_a_row_leaves_opens_as_what_was_made() -> None:
    job = group_job(LEFT)
    run(job)
    warm = warm_models(job.rows[0])
    assert warm.made is not None
    opened, made = load(HERE.adapted / "left", warm.models), warm.made[1]
    ws = warm.ws[:3]
    assert torch.equal(opened.synthesis(ws), made.synthesis(ws))
    assert not torch.equal(opened.synthesis(ws), warm.models.source.synthesis(ws))
    assert torch.equal(opened.synthesis.from_styles(opened.synthesis.styles(ws)), made.synthesis(ws))


def test_a_row_whose_loss_is_nan_leaves_the_others_alone() -> None:
    ends, _ = run(group_job(LEFT, WILD, RIGHT))
    assert ends["wild"].result is None
    assert ends["wild"].error is not None
    assert ends["wild"].error[:2] == (
        "NonFiniteLossError",
        "step 1: the loss is nan; try a smaller shift.learning_rate (now 1e+30)",
    )
    assert isinstance(ends["left"].result, Making) and isinstance(ends["right"].result, Making)
    assert not (HERE.adapted / "wild").exists()
    assert not HERE.unfinished.exists()


def test_a_row_that_cannot_be_written_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    publish = row_folder.publish

    def refuse_left(folder: Path, domain: str) -> None:
        if domain == "left":
            raise OSError("no space")
        publish(folder, domain)

    monkeypatch.setattr(row_folder, "publish", refuse_left)
    ends, _ = run(group_job(LEFT, RIGHT))
    assert ends["left"].error is not None and ends["left"].error[:2] == ("OSError", "no space")
    assert isinstance(ends["right"].result, Making)
    assert [path.name for path in HERE.adapted.iterdir()] == ["right"]


def test_a_row_that_never_began_is_not_in_the_group() -> None:
    job = group_job(LEFT, RIGHT, "third,portrait,ink,shift,,,,,world/truth")
    Path("world/truth/0.png").write_bytes(b"no picture")
    ends, _ = run(job)
    assert ends["third"].error is not None and ends["third"].error[0] == "ImageError"
    assert list(ends["left"].result.group) == ["left", "right"]


def end_at(domain: str, step: int) -> Callable[[Any], None]:
    """A callback that ends the process when a row's step is told, before the state is saved."""

    def end(news: Any) -> None:
        if isinstance(news, Progress) and (news.domain, news.step, news.phase, news.note) == (domain, step, "make", ""):
            raise ProcessEndedError

    return end


@pytest.mark.parametrize(
    ("domain", "step", "behind"), [("left", 3, 2), ("right", 3, 3), ("left", 5, 4), ("right", 2, 2)]
)
def test_rows_of_a_pass_that_broke_off_go_on_together_to_the_same_bytes(domain: str, step: int, behind: int) -> None:
    job = group_job(LEFT, RIGHT, WILD)
    run(job)
    undisturbed = published("left", "right")
    shutil.rmtree(HERE.adapted)
    with pytest.raises(ProcessEndedError):
        run(job, end_at(domain, step))
    ends, notes = run(job)
    expected = [f"{row}: goes on after step {behind} of 5" for row in ("left", "right")]
    assert [note for note in notes if not note.startswith("wild")] == expected
    assert ends["wild"].error is not None
    assert published("left", "right") == undisturbed
    assert not HERE.unfinished.exists()


def test_the_last_row_of_a_pass_leaves_no_state_that_would_only_lead_to_nan_again() -> None:
    ends, _ = run(group_job(WILD))
    assert ends["wild"].error is not None
    assert not HERE.unfinished.exists()


def test_a_row_that_is_left_of_a_pass_goes_on_alone() -> None:
    job = group_job(LEFT, RIGHT)
    run(job)
    undisturbed, record = load_file(HERE.adapted / "right" / OFFSET_NAME)["offset"], row_folder.read_making("right")
    shutil.rmtree(HERE.adapted)
    with pytest.raises(ProcessEndedError):
        run(job, end_at("right", 5))
    assert [path.name for path in HERE.adapted.iterdir()] == ["left"]
    (together,) = saved_rows().values()
    assert together.group == tuple((row.domain, row.keys.making) for row in job.rows)
    ends, notes = run(replace(job, rows=job.rows[1:]))
    assert (list(ends), notes) == (["right"], ["right: goes on after step 4 of 5"])
    offset = load_file(HERE.adapted / "right" / OFFSET_NAME)["offset"]
    assert torch.allclose(offset, undisturbed, atol=1e-4)  # of this method other bits: fewer pictures are drawn at once
    assert list(row_folder.read_making("right").group) == list(record.group) == ["left", "right"]
    assert not HERE.unfinished.exists()


def test_states_of_a_pass_are_replaced_together_or_not_at_all() -> None:
    job = group_job(LEFT, RIGHT)
    with pytest.raises(ProcessEndedError):
        run(job, end_at("left", 3))
    rows = [replace(row, device="cpu") for row in job.rows]
    before = {path.name: path.read_bytes() for path in HERE.unfinished.iterdir()}
    state = resume_state.load(rows)
    assert state is not None
    state.rows["left"].tensors["losses"].zero_()
    del state.rows["right"]
    with pytest.raises(KeyError):
        resume_state.save(rows, state)
    assert {path.name: path.read_bytes() for path in HERE.unfinished.iterdir()} == before


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_rows_that_are_left_out_of_a_night_keep_their_states(is_cut_off: bool) -> None:
    job = group_job(LEFT, RIGHT)
    run(job)
    undisturbed = load_file(HERE.adapted / "right" / OFFSET_NAME)["offset"]
    shutil.rmtree(HERE.adapted)
    with pytest.raises(ProcessEndedError):
        run(job, end_at("left", 3))
    state = (HERE.unfinished / "right.safetensors").read_bytes()
    alone = replace(job, rows=job.rows[:1])
    with pytest.raises(ProcessEndedError) if is_cut_off else nullcontext():
        run(alone, end_at("left", 5) if is_cut_off else lambda _: None)
    assert (HERE.unfinished / "right.safetensors").read_bytes() == state
    if is_cut_off:
        assert resume_state.load([replace(row, device="cpu") for row in job.rows]) is None, "they are of two moments"
        assert len(set(saved_rows().values())) == 2
        assert run(alone)[1] == ["left: goes on after step 4 of 5"]
    ends, notes = run(replace(job, rows=job.rows[1:]))
    assert (notes, ends["right"].error) == (["right: goes on after step 2 of 5"], None)
    offset = load_file(HERE.adapted / "right" / OFFSET_NAME)["offset"]
    assert torch.allclose(offset, undisturbed, atol=1e-4)  # of this method other bits: fewer pictures are drawn at once
    assert not HERE.unfinished.exists()


def test_a_state_of_a_row_that_was_published_since_is_forgotten() -> None:
    job = group_job(LEFT, RIGHT)
    with pytest.raises(ProcessEndedError):
        run(job, end_at("left", 3))
    state = (HERE.unfinished / "left.safetensors").read_bytes()
    run(replace(job, rows=job.rows[:1]))
    (HERE.unfinished / "left.safetensors").write_bytes(state)  # its process was killed just before
    forget_finished()
    assert [path.name for path in HERE.unfinished.iterdir()] == ["right.safetensors"]


def test_a_state_of_several_rows_of_an_earlier_version_is_of_no_use() -> None:
    job = group_job(LEFT, RIGHT)
    with pytest.raises(ProcessEndedError):
        run(job, end_at("left", 3))
    path = HERE.unfinished / "left.safetensors"
    with safe_open(path, "pt") as file:
        header = file.metadata()
    save_file(load_file(path) | load_file(HERE.unfinished / "right.safetensors"), path, header)
    ends, notes = run(replace(job, rows=job.rows[:1]))
    assert (notes, ends["left"].error) == ([], None)


def test_a_row_that_rode_in_another_pass_goes_on_from_none() -> None:
    with pytest.raises(ProcessEndedError):
        run(group_job(LEFT, RIGHT), end_at("right", 3))
    third = "third,portrait,ink,shift"
    ends, notes = run(group_job(RIGHT, third))
    assert (sorted(ends), notes) == (["right", "third"], [])
    assert [path.name for path in HERE.unfinished.iterdir()] == ["left.safetensors"]
    forget("left")
    assert not saved_rows()


def test_a_state_of_a_pass_with_other_rows_is_of_no_use() -> None:
    with pytest.raises(ProcessEndedError):
        run(group_job(LEFT, RIGHT), end_at("left", 3))
    assert sorted(path.name for path in HERE.unfinished.iterdir()) == ["left.safetensors", "right.safetensors"]
    change("learning_rate: 0.2", "learning_rate: 0.1")  # of `right`
    ends, notes = run(group_job(LEFT, RIGHT))
    assert (sorted(ends), notes) == (["left", "right"], [])
    assert not HERE.unfinished.exists()


def test_a_damaged_state_makes_all_rows_of_its_pass_start_over() -> None:
    job = group_job(LEFT, RIGHT)
    run(job)
    undisturbed = published("left", "right")
    shutil.rmtree(HERE.adapted)
    with pytest.raises(ProcessEndedError):
        run(job, end_at("left", 3))
    state = resume_state.load([replace(row, device="cpu") for row in job.rows])
    assert state is not None
    del state.rows["right"].tensors["losses"]
    resume_state.save([replace(row, device="cpu") for row in job.rows], state)
    _, notes = run(job)
    reason = "starts over, for its saved state is of no use: state: no 'losses' in it; start over"
    assert notes[1:] == [f"{row}: {reason}" for row in ("left", "right")]
    assert published("left", "right") == undisturbed


def test_a_damaged_offset_is_named() -> None:
    job = group_job(LEFT)
    run(job)
    path, models = HERE.adapted / "left" / OFFSET_NAME, warm_models(job.rows[0]).models
    save_file({"offset": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"an offset \[3\]; the source has latents of 8$"):
        load(path.parent, models)
    path.write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="no offset"):
        load(path.parent, models)


def test_a_pass_renders_its_source_once_a_step_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    job = group_job(LEFT, RIGHT)
    source = warm_models(replace(job.rows[0], device="cpu")).models.source
    rendered: list[tuple[int, bool]] = []
    handle = source.synthesis.register_forward_pre_hook(  # type: ignore[attr-defined]
        lambda _, args: rendered.append((len(args[0]), torch.is_grad_enabled()))
    )
    run(job)
    handle.remove()
    assert rendered == [(2, False), (4, True)] * 5


def test_the_offset_moved_along_the_text(shift_project: Path) -> None:
    making = run(group_job(LEFT))[0]["left"].result
    offset = load_file(HERE.adapted / "left" / OFFSET_NAME)["offset"]
    assert making.part["length"] == pytest.approx(offset.norm().item())
    assert making.part["last_loss"] < making.part["first_loss"]


def test_a_row_error_names_its_row() -> None:
    job = group_job(WILD)
    news = list(job.rows[0].method_object.begin([job.rows[0].assignment], warm_models(job.rows[0]).models))
    assert isinstance(news[-1], RowError) and news[-1].row == "wild"
