"""A row is stored as night.storage says; only float16 changes it, and then it is judged as stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nada.checkpoints import load_generator
from nada.errors import CheckpointError
from nada.generators.registry import Network
from nada.hashing import sha256_file
from nada.images import levels_apart
from nada.methods.adapt.loop import Adaptation
from tasks.config.project import HERE
from tasks.plan.plan import make_plan
from tasks.row import training
from tasks.row.make import run_row, warm_models
from tasks.row.samples import render
from tasks.store import base_models, row_folder
from tasks.store.pretrained import PRETRAINED_PATH
from tests.project import SKETCH, Project, project

__all__ = ["project"]


def train(project: Project, storage: str) -> dict[str, Any]:
    """Train one row in this process; returns its record."""
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("  workers: 2\n", f"  workers: 2\n  storage: {storage}\n"))
    project.prompts(SKETCH)
    plan = make_plan(Path("params.yaml"))
    base_models.keep(plan.generator_path)
    record = run_row(plan.job(plan.rows[0]), lambda progress: None)
    Path("params.yaml").write_text(text)
    return record


def weights() -> Network:
    return load_generator(HERE.adapted / "sketch" / row_folder.WEIGHTS_NAME)


def test_a_delta_and_a_whole_file_are_the_same_generator(project: Project) -> None:
    whole, exact = train(project, "full"), weights().state_dict()
    delta, rebuilt = train(project, "delta"), weights().state_dict()
    assert all(torch.equal(exact[name], rebuilt[name]) for name in exact)
    assert delta["scores"] == whole["scores"] and delta["key"] == whole["key"]
    sizes = [record["files"]["generator.safetensors"]["bytes"] for record in (delta, whole)]
    assert sizes[0] < 0.8 * sizes[1]
    assert whole["storage"] == {"kind": "full", "rounding": None}
    assert delta["storage"] == {"kind": "delta", "parent": sha256_file(PRETRAINED_PATH), "rounding": None}


def test_rounded_weights_are_judged_as_they_are_stored(project: Project) -> None:
    whole, exact = train(project, "full"), weights()
    half, rounded = train(project, "fp16"), weights()
    assert half["key"] != whole["key"]
    assert half["files"]["generator.safetensors"]["bytes"] < 0.7 * whole["files"]["generator.safetensors"]["bytes"]
    ws = warm_models(make_plan(Path("params.yaml")).job(make_plan(Path("params.yaml")).rows[0])).ws
    pictures = {name: torch.cat(list(render(g, ws[:6], 8))) for name, g in (("exact", exact), ("rounded", rounded))}
    largest, mean = levels_apart(pictures["exact"], pictures["rounded"])
    assert half["storage"]["rounding"] == {"largest_levels": largest, "mean_levels": mean, "num_images": 6}


def test_what_float16_cannot_hold_fails_its_row_and_leaves_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(adaptation: Adaptation, *rest: Any) -> Any:
        result = training.train(adaptation, *rest)
        adaptation.target.synthesis.block(8).conv0.bias.data.fill_(1e5)  # type: ignore[attr-defined]
        return result

    monkeypatch.setattr("tasks.row.make.train", explode)
    with pytest.raises(CheckpointError, match=r"^sketch: 'synthesis\.b8\.conv0\.bias' holds 100000, beyond float16's"):
        train(project, "fp16")
    assert not (HERE.adapted / "sketch").exists()
