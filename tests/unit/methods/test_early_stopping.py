"""A row that asks for it keeps its best weights, ends on a plateau, and goes on to the same choice."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nada.errors import StateError
from nada.judge.early_stopping import Probe
from nada.methods.adapt import early_stopping
from nada.methods.adapt.record import AdaptRecord
from nada.methods.base import Made, Pass, Step
from tasks.row.job import RowJob
from tasks.row.models import warm_models
from tests.jobs import job, with_config

__all__ = ["job"]


@pytest.fixture
def choosing(job: RowJob) -> RowJob:
    """The row with its checkpoint chosen among the probes after every second step."""
    return with_config(job, stop="auto", probe_every=2, probe_images=4)


def begin(job: RowJob) -> Pass:
    making: Pass = job.method_object.begin([job.assignment], warm_models(job).models)
    return making


def finish(making: Pass, folder: Path = Path("made")) -> tuple[Made, dict[str, bytes]]:
    """Let a pass run to its end; what it says of its row, and the row's files."""
    *_, last = making
    assert isinstance(last, Step) and last.is_last
    folder.mkdir()
    made = making.save("sketch", folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return made, files


def state_after(job: RowJob, steps: int) -> dict[str, Tensor]:
    """The state as another process would read it."""
    making = begin(job)
    list(islice(making, steps))
    return {name: tensor.clone() for name, tensor in making.state_dict("sketch").items()}


def edits(monkeypatch: pytest.MonkeyPatch, by_step: dict[int, float]) -> None:
    """The probes of a row see these directional similarities."""

    def look(*arguments: Any) -> Probe:
        return replace(look_as_built(*arguments), edit=by_step[arguments[-1]])

    look_as_built = early_stopping.look
    monkeypatch.setattr(early_stopping, "look", look)


def test_the_weights_of_the_best_probe_are_kept(job: RowJob, choosing: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    edits(monkeypatch, {2: 0.1, 4: 0.3, 5: 0.2})
    made, chosen = finish(begin(choosing))
    _, shorter = finish(begin(with_config(job, iterations=4)))
    assert chosen["generator.safetensors"] == shorter["generator.safetensors"]
    assert [line.split(",")[:2] for line in chosen["probes.csv"].decode().splitlines()] == [
        ["step", "edit"],
        ["2", "0.1"],
        ["4", "0.3"],
        ["5", "0.2"],
    ]
    assert "probes.csv" not in shorter
    assert (made.kept_step, made.trained_steps) == (4, 5)
    assert isinstance(made.part, AdaptRecord) and made.part.early_stopping is not None
    assert made.part.early_stopping.probes == 3
    assert made.part.early_stopping.why.startswith("step 4, directional similarity 0.300, a weak edit")
    assert made.part.early_stopping.seconds > 0


def test_what_is_judged_are_the_weights_that_are_kept(choosing: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    edits(monkeypatch, {2: 0.3, 4: 0.2, 5: 0.1})
    making = begin(choosing)
    list(making)
    Path("made").mkdir()
    making.save("sketch", Path("made"))
    opened = choosing.method_object.open(Path("made"), warm_models(choosing).models)
    kept = making.domain("sketch").state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(tensor, kept[name]) for name, tensor in opened.state_dict().items())


def test_a_plateau_ends_a_row_early(choosing: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    edits(monkeypatch, {1: 0.9, 2: 0.901, 3: 0.902, 4: 0.903, 5: 0.904})
    made, files = finish(begin(with_config(choosing, iterations=100, probe_every=1)))
    assert (made.kept_step, made.trained_steps) == (5, 5)
    assert len(files["trace.csv"].splitlines()) == 1 + 5


def test_a_row_that_does_not_move_ends_early_with_its_best_weights(
    job: RowJob, choosing: RowJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits(monkeypatch, {1: 0.01, 2: 0.15, 3: 0.1, 4: 0.1})
    made, files = finish(begin(with_config(choosing, iterations=100, probe_every=1, give_up_after=4)))
    _, shorter = finish(begin(with_config(job, iterations=2)))
    assert (made.kept_step, made.trained_steps) == (2, 4)
    assert files["generator.safetensors"] == shorter["generator.safetensors"]
    assert isinstance(made.part, AdaptRecord) and made.part.early_stopping is not None
    assert made.part.early_stopping.why.endswith(
        "none of 4 probes came to 0.2 in directional similarity: no move towards the text"
    )


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_row_that_chooses_goes_on_to_the_same_bytes(choosing: RowJob, steps: int) -> None:
    _, undisturbed = finish(begin(choosing))
    resumed = begin(choosing)
    assert resumed.load_state_dict("sketch", state_after(choosing, steps)) == steps
    assert finish(resumed)[1] == undisturbed


def test_probes_change_no_step(job: RowJob, choosing: RowJob) -> None:
    _, fixed = finish(begin(job))
    _, chosen = finish(begin(choosing))
    assert chosen["trace.csv"] == fixed["trace.csv"]


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("choice.probes.edit", "^state: its probes do not fit this adaptation"),
        ("choice.best.synthesis.b4.conv1.weight", "^state: its probes do not fit this adaptation"),
        ("choice.seconds", "^state: its probes do not fit this adaptation"),
        ("rng", "^state: 1 tensors do not fit this adaptation"),
    ],
)
def test_a_state_that_lacks_a_part_changes_neither_weights_nor_probes(
    choosing: RowJob, lost: str, message: str
) -> None:
    _, undisturbed = finish(begin(choosing))
    state = state_after(choosing, 3)
    del state[lost]
    making = begin(choosing)
    with pytest.raises(StateError, match=message):
        making.load_state_dict("sketch", state)
    assert finish(making)[1] == undisturbed


def test_probes_look_at_other_latents_than_scores_do(choosing: RowJob) -> None:
    warm = warm_models(choosing)
    ws = early_stopping.Validator.of(warm.models, 6).ws
    assert not any(torch.equal(one, other) for one in ws for other in warm.ws)


def test_checkpoints_are_kept_beside_the_best_and_change_nothing_else(
    job: RowJob, choosing: RowJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits(monkeypatch, {2: 0.1, 4: 0.3, 5: 0.2})
    _, plain = finish(begin(choosing))
    making = begin(with_config(choosing, checkpoints=3))
    _, kept = finish(making)
    assert sorted(set(kept) - set(plain)) == ["checkpoint-2.safetensors"]
    assert {name: content for name, content in kept.items() if name in plain} == plain
    assert kept["checkpoint-2.safetensors"] == finish(begin(with_config(job, iterations=2)))[1]["generator.safetensors"]


def test_a_row_that_keeps_checkpoints_goes_on_to_the_same_bytes(choosing: RowJob) -> None:
    keeping = with_config(choosing, checkpoints=3)
    _, undisturbed = finish(begin(keeping))
    resumed = begin(keeping)
    resumed.load_state_dict("sketch", state_after(keeping, 3))
    assert finish(resumed)[1] == undisturbed
