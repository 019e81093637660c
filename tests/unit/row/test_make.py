"""A row whose process ended goes on where it was, to the same bytes, or starts over and says why."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nada.checkpoints import save_generator
from nada.errors import OutputError
from nada.generators.registry import Network
from nada.generators.stylegan2 import SynthesisNetwork
from tasks.config.project import HERE
from tasks.library.sample import samples
from tasks.row import resume_state
from tasks.row.job import RowJob
from tasks.row.models import warm_models
from tasks.store import row_folder
from tasks.store.record import MAKING_NAME
from tasks.workers.news import Progress
from tests.conftest import tiny_mobilestylegan, tiny_stylegan3
from tests.jobs import ProcessEndedError, end_at, interrupt, job, make_alone, make_well, with_section
from tests.rows import KEYS, OTHER_KEYS

__all__ = ["job"]

STATE = Path("weights/.unfinished/sketch.safetensors")
STARTS_OVER = "starts over, for its saved state is of no use: "


def run(job: RowJob) -> tuple[dict[str, bytes], list[str]]:
    """Published files but the record, and the notes that were sent."""
    end, notes = make_alone(job)
    assert end.error is None, end.error
    folder = HERE.adapted / "sketch"
    published = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MAKING_NAME}
    shutil.rmtree(folder)
    return published, notes


def test_a_row_is_published_whole_with_its_record(job: RowJob) -> None:
    making = make_well(job)
    assert row_folder.state_of("sketch", KEYS) == "made"
    assert row_folder.read_making("sketch") == making
    assert sorted(making.files) == ["generator.safetensors", "trace.csv"]
    assert (making.method, making.config) == ("adapt", job.config.model_dump(mode="json"))
    assert (making.trained_steps, making.kept_step, making.most_steps) == (5, 5, 5)
    assert (making.seed, making.group, making.micro_batch) == (3, {"sketch": KEYS.making}, 2)
    assert [path.name for path in HERE.adapted.iterdir()] == ["sketch"]


def test_a_row_whose_process_ended_goes_on_to_the_same_bytes(job: RowJob) -> None:
    undisturbed, notes = run(job)
    assert notes == []
    interrupt(job, 4)
    assert STATE.is_file()
    resumed, notes = run(job)
    assert notes == ["goes on after step 3 of 5"]
    assert resumed == undisturbed
    assert not STATE.parent.exists()


@pytest.mark.parametrize(
    ("make", "convs"),
    [
        (tiny_stylegan3, r"L[0-3]_\d+_\d+\.(weight|bias)"),
        (tiny_mobilestylegan, r"b\d+\.conv[01]\.(weight|bias|depthwise)"),
    ],
)
def test_a_row_of_another_family_is_made_resumed_and_drawn_like_any_other(
    job: RowJob, tmp_path: Path, make: Callable[[], Network], convs: str
) -> None:
    source = make()
    path = tmp_path / "another.safetensors"
    save_generator(path, source)
    job = replace(job, source=replace(job.source, base_path=str(path)))
    undisturbed, _ = run(job)
    interrupt(job, 4)
    assert run(job)[0] == undisturbed

    make_well(job)
    adapted = job.method_object.open(HERE.adapted / "sketch", warm_models(job).models)
    assert adapted.config == source.config
    before, after = source.state_dict(), adapted.state_dict()
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed and all(re.fullmatch(rf"synthesis\.{convs}", name) for name in changed)
    assert len(list(samples(adapted, 3, seed=0, psi=0.7))) == 1


def test_a_row_shorter_than_the_interval_saves_nothing(job: RowJob) -> None:
    with pytest.raises(ProcessEndedError):
        make_alone(with_section(job, "night", checkpoint_minutes=5.0), end_at(5))
    assert not STATE.parent.exists()


def cut() -> None:
    STATE.write_bytes(STATE.read_bytes()[:-100])


def flip_a_bit() -> None:
    content = bytearray(STATE.read_bytes())
    content[-1] ^= 1
    STATE.write_bytes(content)


def empty() -> None:
    STATE.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip_a_bit, empty])
def test_a_damaged_state_is_told_and_the_row_starts_over(job: RowJob, damage: Callable[[], None]) -> None:
    undisturbed, _ = run(job)
    interrupt(job, 4)
    damage()
    again, (note,) = run(job)
    assert note.startswith(f"{STARTS_OVER}weights/.unfinished/sketch.safetensors: ")
    assert again == undisturbed
    assert not STATE.parent.exists()


@pytest.mark.parametrize("changed", [{"keys": OTHER_KEYS}, {"threads": 2}])
def test_a_state_of_another_row_or_set_up_is_ignored_and_removed(job: RowJob, changed: dict[str, Any]) -> None:
    interrupt(job, 4)
    _, notes = run(replace(job, **changed))
    assert notes == []
    assert not STATE.parent.exists()


def test_seconds_of_the_ended_process_count(job: RowJob) -> None:
    interrupt(job, 3)
    left = resume_state.load([job])
    assert left is not None
    resume_state.save([job], replace(left, rows={"sketch": replace(left.rows["sketch"], seconds=1000.0)}))
    assert make_well(job).seconds["make"] > 1000


def test_a_row_that_is_made_beside_neither_goes_on_nor_leaves_a_state(job: RowJob, tmp_path: Path) -> None:
    undisturbed, _ = run(job)
    interrupt(job, 4)
    state = STATE.read_bytes()
    end, notes = make_alone(replace(job, resumes=False), folder=tmp_path / "beside")
    assert (end.error, notes) == (None, [])
    assert STATE.read_bytes() == state
    assert not any(HERE.adapted.iterdir())
    beside = {path.name: path.read_bytes() for path in (tmp_path / "beside" / "sketch").iterdir()}
    assert beside.keys() == {*undisturbed, MAKING_NAME}
    assert {name: beside[name] for name in undisturbed} == undisturbed


def test_weights_that_left_the_real_numbers_leave_no_state(job: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(job, 3)
    assert STATE.is_file()
    monkeypatch.setattr("nada.methods.adapt.objective.terms.global_loss", lambda *_: torch.tensor(float("nan")))
    monkeypatch.setattr(
        "nada.methods.adapt.objective.terms.directional_loss", lambda *_: torch.tensor(float("nan"), requires_grad=True)
    )
    end, notes = make_alone(job)
    assert notes == ["goes on after step 2 of 5"]
    assert end.error is not None
    name, message, details = end.error
    assert (name, message) == (
        "NonFiniteLossError",
        "step 2: the loss is nan; try a smaller adapt.learning_rate (now 0.0016)",
    )
    assert "Traceback" in details
    assert not STATE.parent.exists()


def test_a_state_that_cannot_be_written_costs_no_row(job: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OutputError("weights: cannot be written (No space left on device)")

    monkeypatch.setattr(resume_state, "save", refuse)
    _, notes = run(job)
    assert set(notes) == {"its state is not saved: weights: cannot be written (No space left on device)"}


def test_a_row_that_cannot_be_published_leaves_no_half_of_it(job: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OutputError("weights/adapted/sketch: cannot be written (No space left on device)")

    monkeypatch.setattr(row_folder, "publish", refuse)
    end, _ = make_alone(job)
    assert end.error is not None
    assert end.error[:2] == ("OutputError", "weights/adapted/sketch: cannot be written (No space left on device)")
    assert not any(HERE.adapted.iterdir())


def test_memory_that_runs_out_is_told_and_the_micro_batch_recorded(
    job: RowJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, _ = run(with_section(job, "night", micro_batch=1))
    render = SynthesisNetwork.forward

    def forward(self: SynthesisNetwork, ws: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        if len(ws) > 1 and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return render(self, ws, *arguments, **named)

    monkeypatch.setattr(SynthesisNetwork, "forward", forward)
    disturbed, notes = run(job)
    assert notes == ["out of memory; at most 1 at once from here on"]
    assert disturbed == undisturbed
    assert make_well(job).micro_batch == 1


def test_a_row_makes_way_for_a_pause_and_goes_on_to_the_same_bytes(job: RowJob) -> None:
    undisturbed, _ = run(job)

    def pause(news: Any) -> None:
        if isinstance(news, Progress) and (news.phase, news.step) == ("make", 2):
            HERE.pause.parent.mkdir(exist_ok=True)
            HERE.pause.write_text("now")

    end, _ = make_alone(job, pause)
    assert (end.result, end.error) == (None, None)
    assert STATE.is_file()
    HERE.pause.unlink()
    resumed, notes = run(job)
    assert notes == ["goes on after step 2 of 5"]
    assert resumed == undisturbed
