from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nada.checkpoints import save_generator
from nada.errors import NonFiniteLossError, OutputError
from nada.generators.stylegan2 import SynthesisNetwork
from nada.judge.early_stopping import Probe
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.prompts import Row
from tasks.library.sample import open_domain, samples
from tasks.row import resume_state, training, validation
from tasks.row.job import RowJob
from tasks.row.make import run_row
from tasks.row.samples import render
from tasks.store import base_models, row_folder
from tasks.workers.pool import Progress
from tests.conftest import tiny_stylegan3

STATE = Path("weights/.unfinished/sketch.safetensors")


class ProcessEndedError(Exception):
    """Stands for a process that ended in the middle of a row."""


@pytest.fixture
def job(tmp_path: Path, tiny_world: Path, monkeypatch: pytest.MonkeyPatch) -> RowJob:
    """A row of five steps in a folder of its own, whose state is saved after every step."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "REPORT_SECONDS", 0)
    params = Params.model_validate(
        {
            "night": {"checkpoint_minutes": 0.0},
            "generator": {"weights": "unused"},
            "guide": {
                "models": [{"name": "tiny-guide", "weights": str(tiny_world / "tiny-guide.safetensors")}],
                "config_dir": str(tiny_world),
            },
            "judge": {
                "model": {"name": "tiny-judge", "weights": str(tiny_world / "tiny-judge.safetensors")},
                "num_images": 6,
                "batch_size": 6,
            },
            "samples": {"count": 2},
            "adapt": {"iterations": 5, "ema": 0.5, "selection": {"k": 2, "batch_size": 2}},
        }
    )
    return RowJob(
        row=Row(domain="sketch", source="photo", target="pencil sketch", line=2, recipe="style"),
        adapt=params.adapt,
        params=params,
        key="0" * 64,
        seed=3,
        generator_path=str(tiny_world / "generator.safetensors"),
        device="cpu",
        threads=1,
        all_targets={"sketch": "pencil sketch"},
    )


def end_at(step: int) -> Callable[[Progress], None]:
    """A progress callback that ends the process when a step is reported, before its state is saved."""

    def progress(news: Progress) -> None:
        if news.phase == "adapt" and news.step == step and not news.note:
            raise ProcessEndedError

    return progress


def run(job: RowJob) -> tuple[dict[str, bytes], list[str]]:
    """Published files but the record, and the notes that were sent."""
    notes: list[str] = []
    run_row(job, lambda news: notes.append(news.note) if news.note else None)
    folder = HERE.adapted / "sketch"
    published = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != row_folder.RECORD_NAME}
    shutil.rmtree(folder)
    return published, notes


def interrupt(job: RowJob, step: int) -> None:
    with pytest.raises(ProcessEndedError):
        run_row(job, end_at(step))
    assert STATE.is_file()


def test_a_row_whose_process_ended_goes_on_to_the_same_bytes(job: RowJob) -> None:
    undisturbed, notes = run(job)
    assert notes == []
    interrupt(job, 4)
    resumed, notes = run(job)
    assert notes == ["goes on after step 3 of 5"]
    assert resumed == undisturbed
    assert not STATE.parent.exists()


def test_a_row_of_a_stylegan3_is_trained_resumed_and_drawn_like_any_other(job: RowJob, tmp_path: Path) -> None:
    source = tiny_stylegan3()
    path = tmp_path / "stylegan3.safetensors"
    save_generator(path, source)
    base_models.keep(path)
    job = dataclasses.replace(job, generator_path=str(path))
    undisturbed, _ = run(job)
    interrupt(job, 4)
    assert run(job)[0] == undisturbed

    run_row(job, lambda news: None)
    adapted = open_domain("sketch", Path("params.yaml"), "cpu")
    assert adapted.config == source.config
    before, after = source.state_dict(), adapted.state_dict()
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed and all(re.fullmatch(r"synthesis\.L[0-3]_\d+_\d+\.(weight|bias)", name) for name in changed)
    assert len(list(samples(adapted, 3, seed=0, psi=0.7))) == 1


def test_a_row_shorter_than_the_interval_saves_nothing(job: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    night = job.params.night.model_copy(update={"checkpoint_minutes": 5.0})
    patient = dataclasses.replace(job, params=job.params.model_copy(update={"night": night}))
    with pytest.raises(ProcessEndedError):
        run_row(patient, end_at(5))
    assert not STATE.parent.exists()


def cut(job: RowJob) -> RowJob:
    STATE.write_bytes(STATE.read_bytes()[:-100])
    return job


def flip_a_bit(job: RowJob) -> RowJob:
    content = bytearray(STATE.read_bytes())
    content[-1] ^= 1
    STATE.write_bytes(content)
    return job


def empty(job: RowJob) -> RowJob:
    STATE.write_bytes(b"")
    return job


@pytest.mark.parametrize("damage", [cut, flip_a_bit, empty])
def test_a_damaged_state_is_told_and_the_row_starts_over(job: RowJob, damage: Callable[[RowJob], RowJob]) -> None:
    undisturbed, _ = run(job)
    interrupt(job, 4)
    again, (note,) = run(damage(job))
    assert note.startswith("starts over, for its saved state is of no use: weights/.unfinished/sketch.safetensors: ")
    assert again == undisturbed
    assert not STATE.parent.exists()


@pytest.mark.parametrize("changed", [{"key": "1" * 64}, {"threads": 2}])
def test_a_state_of_another_row_or_set_up_is_ignored_and_removed(job: RowJob, changed: dict[str, Any]) -> None:
    interrupt(job, 4)
    _, notes = run(dataclasses.replace(job, **changed))
    assert notes == []
    assert not STATE.parent.exists()


def test_seconds_of_the_ended_process_count(job: RowJob) -> None:
    interrupt(job, 3)
    left = resume_state.load(job)
    assert left is not None
    resume_state.save(job, dataclasses.replace(left, seconds=1000.0))
    record = run_row(job, lambda _: None)
    assert 1000 < record["seconds"]["adapt"] < record["seconds"]["total"]


def test_weights_that_left_the_real_numbers_leave_no_state(job: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(job, 3)
    monkeypatch.setattr("nada.methods.adapt.loop.global_loss", lambda *_: torch.tensor(float("nan")))
    monkeypatch.setattr(
        "nada.methods.adapt.loop.directional_loss", lambda *_: torch.tensor(float("nan"), requires_grad=True)
    )
    with pytest.raises(NonFiniteLossError):
        run_row(job, lambda _: None)
    assert not STATE.parent.exists()


def test_a_state_that_cannot_be_written_costs_no_row(job: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OutputError("weights: cannot be written (No space left on device)")

    monkeypatch.setattr(resume_state, "save", refuse)
    _, notes = run(job)
    assert set(notes) == {"its state is not saved: weights: cannot be written (No space left on device)"}


def test_memory_that_runs_out_is_told_and_the_micro_batch_recorded(
    job: RowJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, _ = run(with_micro_batch(job, 1))
    render = SynthesisNetwork.forward

    def forward(self: SynthesisNetwork, ws: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        if len(ws) > 1 and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return render(self, ws, *arguments, **named)

    monkeypatch.setattr(SynthesisNetwork, "forward", forward)
    disturbed, notes = run(job)
    assert notes == ["out of memory; at most 1 at once from here on"]
    assert disturbed == undisturbed
    assert run_row(job, lambda _: None)["micro_batch"] == 1


def with_micro_batch(job: RowJob, size: int) -> RowJob:
    night = job.params.night.model_copy(update={"micro_batch": size})
    return dataclasses.replace(job, params=job.params.model_copy(update={"night": night}))


def test_judging_goes_on_in_halves_where_memory_runs_out(job: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller = job.params.model_copy(update={"judge": job.params.judge.model_copy(update={"batch_size": 3})})
    undisturbed, _ = run(dataclasses.replace(job, params=smaller))
    render = SynthesisNetwork.forward

    def forward(self: SynthesisNetwork, ws: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        if len(ws) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return render(self, ws, *arguments, **named)

    monkeypatch.setattr(SynthesisNetwork, "forward", forward)
    disturbed, _ = run(job)
    assert disturbed == undisturbed


def test_no_more_than_a_megapixel_is_rendered_at_once() -> None:
    class Huge:
        resolution = 512

        def synthesis(self, ws: torch.Tensor, noise: str) -> torch.Tensor:
            return ws[:, :1, :1, None].expand(-1, 3, 1, 1)

    batches = render(Huge(), torch.zeros(9, 2, 8), batch_size=50)  # type: ignore[arg-type]
    assert [len(img_u8) for img_u8 in batches] == [4, 4, 1]


@pytest.fixture
def choosing(job: RowJob) -> RowJob:
    """The row with its checkpoint chosen among the probes after every second step."""
    update = {"stop": "auto", "probe_every": 2, "probe_images": 4}
    return dataclasses.replace(job, adapt=job.adapt.model_copy(update=update))


def edits(monkeypatch: pytest.MonkeyPatch, by_step: dict[int, float]) -> None:
    """The probes of a row see these directional similarities."""

    def look(*arguments: Any) -> Probe:
        return dataclasses.replace(look_as_built(*arguments), edit=by_step[arguments[-1]])

    look_as_built = validation.look
    monkeypatch.setattr(validation, "look", look)


def test_the_weights_of_the_best_probe_are_published(
    job: RowJob, choosing: RowJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits(monkeypatch, {2: 0.1, 4: 0.3, 5: 0.2})
    record = run_row(choosing, lambda _: None)
    chosen, _ = run(choosing)
    shorter, _ = run(dataclasses.replace(job, adapt=job.adapt.model_copy(update={"iterations": 4})))
    assert chosen["generator.safetensors"] == shorter["generator.safetensors"]
    assert [line.split(",")[:2] for line in chosen["probes.csv"].decode().splitlines()] == [
        ["step", "edit"],
        ["2", "0.1"],
        ["4", "0.3"],
        ["5", "0.2"],
    ]
    assert "probes.csv" not in shorter
    choice = record["choice"]
    assert (choice["step"], choice["trained"], choice["probes"]) == (4, 5, 3)
    assert choice["why"].startswith("step 4, directional similarity 0.300, a weak edit")
    assert 0 < choice["seconds"] < record["seconds"]["adapt"]


def test_a_plateau_ends_a_row_early(choosing: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    longer = choosing.adapt.model_copy(update={"iterations": 100, "probe_every": 1})
    edits(monkeypatch, {1: 0.9, 2: 0.901, 3: 0.902, 4: 0.903, 5: 0.904})
    record = run_row(dataclasses.replace(choosing, adapt=longer), lambda _: None)
    assert (record["choice"]["step"], record["choice"]["trained"]) == (5, 5)
    assert len((HERE.adapted / "sketch" / "trace.csv").read_text().splitlines()) == 1 + 5
    assert not STATE.parent.exists()


@pytest.mark.parametrize("step", [2, 3, 4])
def test_a_row_that_chooses_goes_on_to_the_same_bytes(choosing: RowJob, step: int) -> None:
    undisturbed, _ = run(choosing)
    interrupt(choosing, step)
    resumed, notes = run(choosing)
    assert notes == [f"goes on after step {step - 1} of 5"]
    assert resumed == undisturbed


def test_probes_change_no_step(job: RowJob, choosing: RowJob) -> None:
    fixed, _ = run(job)
    chosen, _ = run(choosing)
    assert chosen["trace.csv"] == fixed["trace.csv"]


def test_a_state_without_its_probes_starts_over(choosing: RowJob) -> None:
    undisturbed, _ = run(choosing)
    interrupt(choosing, 4)
    left = resume_state.load(choosing)
    assert left is not None
    tensors = {name: tensor for name, tensor in left.tensors.items() if name != "choice.probes.edit"}
    resume_state.save(choosing, dataclasses.replace(left, tensors=tensors))
    again, (note,) = run(choosing)
    assert note.startswith("starts over, for its saved state is of no use: state: its probes do not fit")
    assert again == undisturbed


def test_a_damaged_adaptation_leaves_no_probes_behind(choosing: RowJob) -> None:
    undisturbed, _ = run(choosing)
    interrupt(choosing, 4)
    left = resume_state.load(choosing)
    assert left is not None
    tensors = {name: tensor for name, tensor in left.tensors.items() if name != "rng"}
    resume_state.save(choosing, dataclasses.replace(left, tensors=tensors))
    again, (note,) = run(choosing)
    assert note.startswith("starts over")
    assert again == undisturbed
