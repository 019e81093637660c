"""A row is stored as night.storage says; only float16 changes it, and then it is judged as stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nada.generators.registry import Network
from nada.hashing import sha256_file
from nada.images import levels_apart
from nada.judge.samples import fixed_latents, render
from nada.methods.adapt.artifact import WEIGHTS_NAME
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.record import Rounding
from nada.methods.base import Storage
from tasks.config.project import HERE
from tasks.row.job import RowJob
from tasks.row.models import warm_models
from tasks.store.record import Making
from tests.jobs import job, make_alone, make_well, with_section

__all__ = ["job"]

WEIGHTS = HERE.adapted / "sketch" / WEIGHTS_NAME


def make(job: RowJob, storage: Storage) -> tuple[Making, Network]:
    """Make the row; its record, and the generator that its file gives back."""
    making = make_well(with_section(job, "night", storage=storage))
    opened: Network = job.method_object.open(WEIGHTS.parent, warm_models(job).models)
    return making, opened


def are_equal(first: Network, second: Network) -> bool:
    after = second.state_dict()
    return all(torch.equal(tensor, after[name]) for name, tensor in first.state_dict().items())


def test_a_delta_and_a_whole_file_are_the_same_generator(job: RowJob) -> None:
    whole, exact = make(job, "full")
    delta, rebuilt = make(job, "delta")
    assert are_equal(exact, rebuilt)
    sizes = [making.files[WEIGHTS_NAME].num_bytes for making in (delta, whole)]
    assert sizes[0] < 0.8 * sizes[1]
    assert (whole.storage, whole.bases, whole.part["rounding"]) == ("full", [], None)
    base_sha256 = sha256_file(Path(job.source.base_path))
    assert (delta.storage, delta.bases, delta.part["rounding"]) == ("delta", [base_sha256], None)


@pytest.mark.parametrize("storage", ["delta", "full", "fp16"])
def test_what_was_made_is_what_its_file_gives_back(job: RowJob, storage: Storage) -> None:
    _, opened = make(job, storage)
    made = warm_models(job).made
    assert made is not None and made[0] == job.keys.making
    assert are_equal(made[1], opened)  # type: ignore[arg-type]


def test_rounded_weights_are_as_far_from_exact_ones_as_their_record_says(job: RowJob) -> None:
    whole, exact = make(job, "full")
    half, rounded = make(job, "fp16")
    assert half.files[WEIGHTS_NAME].num_bytes < 0.7 * whole.files[WEIGHTS_NAME].num_bytes
    assert (half.storage, half.bases) == ("fp16", [])
    ws = fixed_latents(exact, 2, job.params.samples.truncation_psi)
    pictures = [torch.cat(list(render(generator, ws, 6))) for generator in (exact, rounded)]
    largest, mean = levels_apart(*pictures)
    assert half.part["rounding"] == Rounding(largest_levels=largest, mean_levels=mean, num_images=2).model_dump()


def test_what_float16_cannot_hold_fails_its_row_and_leaves_nothing(
    job: RowJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_as_built = Adaptation.end

    def explode(adaptation: Adaptation, *rest: Any) -> None:
        end_as_built(adaptation, *rest)
        adaptation.target.synthesis.block(8).conv0.bias.data.fill_(1e5)  # type: ignore[attr-defined]

    monkeypatch.setattr(Adaptation, "end", explode)
    end, _ = make_alone(with_section(job, "night", storage="fp16"))
    assert end.error is not None
    name, message, _ = end.error
    assert name == "CheckpointError"
    assert message.startswith("sketch: 'synthesis.b8.conv0.bias' holds 100000, beyond float16's")
    assert not (HERE.adapted / "sketch").exists()
