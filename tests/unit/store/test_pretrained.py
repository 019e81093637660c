"""The source generator is checked once and copied whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nada.errors import CheckpointError
from nada.generators.registry import Network
from tasks.config.model import Params
from tasks.store.pretrained import ORIGIN_PATH, PRETRAINED_PATH, makes_noise, prepare
from tests.conftest import tiny_generator, tiny_stylegan3


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def params(weights: Path) -> Params:
    clips = [{"name": name, "weights": "openai"} for name in ("ViT-B-32", "ViT-B-16")]
    return Params.model_validate(
        {
            "night": {},
            "generator": {"weights": str(weights)},
            "guide": {"models": clips[:1]},
            "judge": {"model": clips[1]},
        }
    )


def test_the_copy_loads_and_its_origin_is_told(project: Path, tiny_world: Path) -> None:
    from nada.checkpoints import load_generator

    assert prepare(params(tiny_world / "generator.safetensors")) == PRETRAINED_PATH
    assert load_generator(PRETRAINED_PATH).resolution == 16
    assert "generator.safetensors" in ORIGIN_PATH.read_text()


def test_an_up_to_date_copy_is_left_alone(project: Path, tiny_world: Path) -> None:
    source = params(tiny_world / "generator.safetensors")
    before = prepare(source).stat().st_mtime_ns
    assert prepare(source).stat().st_mtime_ns == before


@pytest.mark.parametrize("damaged", [PRETRAINED_PATH, ORIGIN_PATH])
def test_a_damaged_copy_is_made_again(project: Path, tiny_world: Path, damaged: Path) -> None:
    source = params(tiny_world / "generator.safetensors")
    whole = prepare(source).read_bytes()
    damaged.write_bytes(damaged.read_bytes()[:-20])
    assert prepare(source).read_bytes() == whole


def test_missing_and_truncated_weights_are_checkpoint_errors(project: Path, tiny_world: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^absent.safetensors: cannot be read \(No such file or directory\)$"):
        prepare(params(Path("absent.safetensors")))
    Path("short.safetensors").write_bytes((tiny_world / "generator.safetensors").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"^short.safetensors: "):
        prepare(params(Path("short.safetensors")))
    assert not PRETRAINED_PATH.exists()


def test_planning_costs_no_import_of_torch() -> None:
    heavy = "{'torch', 'mlflow', 'prefect', 'pandas', 'open_clip', 'dvc'}"
    modules = (
        "tasks.row.job, tasks.report.metrics, tasks.config.params, tasks.store.pretrained, tasks.config.prompts, "
        "tasks.store.row_folder, tasks.tracking.mlflow_store"
    )
    code = f"import sys, {modules}, tasks.store.versioning; print(sorted({heavy} & set(sys.modules)))"
    root = Path(__file__).parents[3]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def quiet_generator() -> Network:
    """A StyleGAN2 that learned to do without noise."""
    generator = tiny_generator()
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.zero_()
    return generator


@pytest.mark.parametrize(
    ("make", "expected"), [(tiny_generator, True), (quiet_generator, False), (tiny_stylegan3, False)]
)
def test_a_generator_with_noise_of_its_own_is_told_from_one_without(
    project: Path, make: Callable[[], Network], expected: bool
) -> None:
    from nada.checkpoints import save_generator

    save_generator(Path("generator.safetensors"), make())
    assert makes_noise(Path("generator.safetensors")) is expected
