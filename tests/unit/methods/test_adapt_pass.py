"""A pass of adaptations: each row by itself, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.config import ClipConfig, GuideClipConfig, GuideConfig, JudgeConfig, SamplesConfig
from nada.errors import NonFiniteLossError, StateError
from nada.judge.samples import render
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.making import AdaptedRow, AdaptPass
from nada.methods.base import Assignment, RowError, Step
from nada.methods.models import Clips, Models
from tests.conftest import tiny_generator

SKETCH = AdaptConfig(iterations=3)
CHOSEN = AdaptConfig(iterations=4, stop="auto", probe_every=2, probe_images=4, ema=0.5)
BROKEN = AdaptConfig(iterations=3, global_weight=1e39)  # the loss overflows at the first step
HELD = AdaptConfig(iterations=2, in_domain_angle_weight=1.0, elastic_weight=1.0)
EASED = AdaptConfig(iterations=3, ema=0.5)
TARGETS = {
    "eased": "neon lights",
    "sketch": "pencil sketch",
    "chosen": "neon lights",
    "broken": "broken glass",
    "held": "neon lights",
}
CONFIGS = {"eased": EASED, "sketch": SKETCH, "chosen": CHOSEN, "broken": BROKEN, "held": HELD}


@pytest.fixture(scope="module")
def models(tiny_world: Path) -> Models:
    def clip(name: str) -> dict[str, str]:
        return {"name": f"tiny-{name}", "weights": str(tiny_world / f"tiny-{name}.safetensors")}

    guide = GuideConfig(models=(GuideClipConfig(**clip("guide")),), config_dir=str(tiny_world))
    clips = Clips(guide, JudgeConfig(model=ClipConfig(**clip("judge")), batch_size=8), "cpu")
    return Models(tiny_world / "generator.safetensors", "generator", clips, SamplesConfig(count=2))


def begin(models: Models, *rows: str) -> AdaptPass:
    """Before the first step; each row has the settings of its name, and a seed that depends on it alone."""
    assignments = [
        Assignment(
            row=row,
            goal=PromptPair("photo", TARGETS[row]),
            config=CONFIGS[row],
            seed=len(row),
            storage="delta",
        )
        for row in rows
    ]
    return AdaptPass(assignments, models)


def files(making: AdaptPass, row: str, folder: Path) -> dict[str, bytes]:
    """What a row leaves, by file."""
    (folder / row).mkdir()
    making.save(row, folder / row)
    return {path.name: path.read_bytes() for path in (folder / row).iterdir()}


def undisturbed(models: Models, folder: Path, *rows: str) -> Iterator[dict[str, bytes]]:
    """What each of these leaves that is alone in its pass."""
    alone = folder / "alone"
    alone.mkdir()
    for row in rows:
        making = begin(models, row)
        assert list(making)
        yield files(making, row, alone)


def test_every_step_names_its_row_and_the_last_one_says_so(models: Models) -> None:
    news = list(begin(models, "sketch", "chosen"))
    assert all(isinstance(step, Step) and step.loss is not None for step in news)
    told = [(step.row, step.done, step.total, step.is_last) for step in news if isinstance(step, Step)]
    sketch = [("sketch", done, 3, done == 3) for done in (1, 2, 3)]
    assert told == [*sketch, *(("chosen", done, 4, done == 4) for done in (1, 2, 3, 4))]


def test_two_rows_of_one_pass_leave_the_bytes_of_two_passes_of_one(models: Models, tmp_path: Path) -> None:
    making = begin(models, "sketch", "chosen")
    list(making)
    found = [files(making, row, tmp_path) for row in ("sketch", "chosen")]
    assert found == list(undisturbed(models, tmp_path, "sketch", "chosen"))
    assert [sorted(left) for left in found] == [
        ["generator.safetensors", "trace.csv"],
        ["generator.safetensors", "probes.csv", "trace.csv"],
    ]


def test_each_loss_in_use_is_a_column_of_the_trace(models: Models, tmp_path: Path) -> None:
    making = begin(models, "held")
    list(making)
    header, first, second = files(making, "held", tmp_path)["trace.csv"].decode().splitlines()
    assert header == "step,loss,directional,in_domain_angle,elastic,layers"
    assert first.split(",")[-2:] == ["0", "all"]  # no weight has moved yet
    assert float(second.split(",")[-2]) > 0


@pytest.mark.parametrize("rows", [("broken", "sketch"), ("sketch", "broken")])
def test_a_row_whose_loss_overflows_leaves_the_pass_and_the_other_lives(
    models: Models, tmp_path: Path, rows: tuple[str, str]
) -> None:
    making = begin(models, *rows)
    news = list(making)
    (lost,) = [one for one in news if isinstance(one, RowError)]
    assert lost.row == "broken"
    assert isinstance(lost.error, NonFiniteLossError)
    assert [one.row for one in news if isinstance(one, Step)] == ["sketch"] * 3
    assert [files(making, "sketch", tmp_path)] == list(undisturbed(models, tmp_path, "sketch"))


def states(making: AdaptPass, *rows: str) -> Mapping[str, dict[str, Tensor]]:
    """Of all rows, as another process would read them."""
    return {row: {name: tensor.clone() for name, tensor in making.state_dict(row).items()} for row in rows}


@pytest.mark.parametrize("steps", [1, 2])
def test_rows_go_on_from_their_states_to_the_same_bytes(models: Models, tmp_path: Path, steps: int) -> None:
    rows = ("sketch", "chosen")
    ended = begin(models, *rows)
    list(islice(ended, steps))
    taken = states(ended, *rows)
    making = begin(models, *rows)
    assert [making.load_state_dict(row, taken[row]) for row in rows] == [steps, 0]
    assert [step.done for step in making if isinstance(step, Step)] == [*range(steps + 1, 4), 1, 2, 3, 4]
    assert [files(making, row, tmp_path) for row in rows] == list(undisturbed(models, tmp_path, *rows))


def test_a_row_that_the_judge_watches_goes_on_with_what_the_judge_saw(models: Models, tmp_path: Path) -> None:
    ended = begin(models, "chosen")
    list(islice(ended, 3))
    taken = states(ended, "chosen")["chosen"]
    assert {"choice.probes.step", "choice.seconds"} < set(taken)
    making = begin(models, "chosen")
    assert making.load_state_dict("chosen", taken) == 3
    list(making)
    assert [files(making, "chosen", tmp_path)] == list(undisturbed(models, tmp_path, "chosen"))


def test_a_state_of_another_row_is_refused_and_changes_nothing(models: Models) -> None:
    ended = begin(models, "sketch", "chosen")
    list(islice(ended, 1))
    taken = states(ended, "sketch", "chosen")
    making = begin(models, "sketch", "chosen")
    before = states(making, "sketch", "chosen")
    for row, other in (("sketch", "chosen"), ("chosen", "sketch")):
        with pytest.raises(StateError, match=r"^state: .*; start over"):
            making.load_state_dict(row, taken[other])
        after = states(making, row)[row]
        assert after.keys() == before[row].keys()
        assert all(torch.equal(after[name], before[row][name]) for name in after)


def test_training_may_begin_elsewhere_than_edits_are_measured_from(models: Models) -> None:
    start = tiny_generator(seed=7)
    elsewhere = replace(models, open_source=lambda: start, _kept={})
    rows = {}
    for frozen in ("start", "base"):
        config = AdaptConfig(iterations=2, stop="auto", probe_every=1, probe_images=4, frozen=frozen)
        given = Assignment(row=frozen, goal=PromptPair("photo", "sketch"), config=config, seed=1, storage="full")
        row = rows[frozen] = AdaptedRow(given, elsewhere)
        assert row.adaptation.source is (start if frozen == "start" else elsewhere.base)
        assert all(
            torch.equal(ours, theirs) for ours, theirs in zip(row.target.parameters(), start.parameters(), strict=True)
        )
        list(row.train())
    first = [float(row.adaptation.trace[0].loss) for row in rows.values()]
    assert first[0] != first[1]  # a start that is already elsewhere has made an edit
    assert rows["start"].stopping.history.probes != rows["base"].stopping.history.probes


@pytest.mark.parametrize("row", ["sketch", "chosen", "held", "eased"])
def test_whoever_looks_at_a_row_on_the_way_changes_no_byte_of_it(row: str, models: Models, tmp_path: Path) -> None:
    undisturbed = begin(models, row)
    list(undisturbed)
    watched, seen = begin(models, row), []
    for step in watched:
        assert isinstance(step, Step)
        seen.append(watched.glimpse(row))
    (tmp_path / "watched").mkdir()
    (tmp_path / "undisturbed").mkdir()
    assert files(watched, row, tmp_path / "watched") == files(undisturbed, row, tmp_path / "undisturbed")
    last = seen[-1]
    assert last is not None
    shown = torch.cat(list(render(watched.domain(row), models.keep("glimpsed", lambda: torch.empty(0)), 4)))
    assert torch.equal(last.img_u8, shown)  # what the row keeps


def test_a_judged_row_shows_what_its_probes_saw_and_another_every_step(models: Models) -> None:
    for row, expected in (("chosen", [None, 2, 2]), ("sketch", [1, 2])):
        making = begin(models, row)
        seen = [making.glimpse(row) for _ in islice(making, len(expected))]
        assert [None if glimpse is None else glimpse.step for glimpse in seen] == expected
        assert all(glimpse.img_u8.shape == (4, 3, 16, 16) for glimpse in seen if glimpse is not None)
