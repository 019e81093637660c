"""Another generator in params.yaml, `dvc repro`, and back: the real stages on the tiny world, Prefect aside."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch
import yaml

from nada.checkpoints import load_generator, write_any
from tasks.store import versioning
from tests.conftest import tiny_generator
from tests.e2e.test_dvc_repro import SET_UP, stages
from tests.e2e.test_dvc_restores_weights import ROOT, call, commit, dvc, no_identity
from tests.plain_night import NIGHT, logged
from tests.project import HEADER, ROBOT, SKETCH, make_project

__all__ = ["no_identity"]

ROWS = Path("weights/adapted")


def use(folder: Path, weights: str, *rows: str) -> None:
    """Name a generator in params.yaml, and the rows of the CSV."""
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["generator"]["weights"] = weights
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (folder / "prompts.csv").write_text("\n".join([HEADER, *rows]) + "\n")


@pytest.fixture
def checkout(tmp_path: Path, tiny_world: Path) -> Path:
    """The tiny project under git and DVC, with a second generator in rosinality's format beside the first."""
    folder = tmp_path / "first"
    folder.mkdir()
    make_project(folder, tiny_world)
    write_any(folder / "world" / "second.pt", tiny_generator(seed=5))
    for name in SET_UP:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / "dvc.yaml").write_text(yaml.safe_dump(stages(), sort_keys=False))
    call(folder, "git", "init", "--quiet")
    return folder


def weights_of(path: Path) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in load_generator(path).state_dict().values()])


def test_switching_generators_trains_once_and_switching_back_trains_nothing(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    sketch, robot = (checkout / ROWS / name / "generator.safetensors" for name in ("sketch", "robot"))
    pretrained = checkout / "weights/pretrained/generator.safetensors"
    use(checkout, "world/generator.safetensors", SKETCH, ROBOT)
    dvc(checkout, "repro")
    assert logged(checkout) == [NIGHT, "sketch", "robot"]
    first = {path: path.read_bytes() for path in (pretrained, sketch, robot)}
    first_robot = weights_of(robot)
    commit(checkout)

    # Another generator, of another format; one row has left the CSV meanwhile.
    use(checkout, "world/second.pt", SKETCH)
    dvc(checkout, "repro")
    assert logged(checkout) == [NIGHT, "sketch"]
    assert pretrained.read_bytes() != first[pretrained] and sketch.read_bytes() != first[sketch]
    commit(checkout)
    versioning.push(checkout)

    # A clone has whole generators of both times: those of the row of now, and of the one that was left.
    clone = checkout.parent / "second"
    call(checkout.parent, "git", "clone", "--quiet", str(checkout), str(clone))
    versioning.prepare_checkout(clone)
    dvc(clone, "pull", "weights/adapted")
    assert torch.equal(weights_of(clone / ROWS / "robot/generator.safetensors"), first_robot)
    assert torch.equal(weights_of(clone / ROWS / "sketch/generator.safetensors"), weights_of(sketch))

    use(checkout, "world/generator.safetensors", SKETCH, ROBOT)
    assert "Stage 'pretrained' is cached - skipping run" in dvc(checkout, "repro")
    assert logged(checkout) == [NIGHT]  # which brings back what DVC's cache has
    assert {path: path.read_bytes() for path in first} == first
