"""The source generator is checked once and copied whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nada.errors import CheckpointError
from nada.generators.registry import Network
from nada.hashing import sha256_file
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.store.pretrained import makes_noise, prepare, prepare_file
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3

PRETRAINED_PATH = HERE.pretrained / "generator.safetensors"
ORIGIN_PATH = HERE.pretrained / "origin.json"


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


def test_other_generators_lie_beside_the_main_one_by_their_content(project: Path, tiny_world: Path) -> None:
    from nada.checkpoints import load_generator, save_generator

    source = params(tiny_world / "generator.safetensors")
    main = prepare_file(source.generator.weights, source)
    for name in ("cats.safetensors", "the same cats.safetensors"):
        save_generator(Path(name), tiny_stylegan3())
    first, second = (prepare_file(name, source) for name in ("cats.safetensors", "the same cats.safetensors"))
    assert (first.path, first.sha256) == (second.path, second.sha256)
    assert (first.source_name, second.source_name) == ("cats.safetensors", "the same cats.safetensors")
    assert first.path.name == f"generator-{sha256_file(Path('cats.safetensors'))[:16]}.safetensors"
    assert first.sha256 == sha256_file(first.path) != main.sha256
    assert load_generator(first.path).config == tiny_stylegan3().config
    assert prepare_file(source.generator.weights, source) == main
    assert (main.path, main.family_module) == (PRETRAINED_PATH, "nada.generators.stylegan2")
    assert first.family_module == "nada.generators.stylegan3"


def test_a_copy_whose_header_is_damaged_has_no_family(project: Path, tiny_world: Path) -> None:
    source = params(tiny_world / "generator.safetensors")
    main = prepare_file(source.generator.weights, source)
    main.path.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"^weights/pretrained/generator\.safetensors: cannot be read \("):
        main.family_module  # noqa: B018


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
        "tasks.store.row_folder, tasks.tracking.mlflow_store, tasks.plan.planning, tasks.plan.groups"
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
    ("make", "expected"),
    [(tiny_generator, True), (quiet_generator, False), (tiny_stylegan3, False), (tiny_mobilestylegan, False)],
)
def test_a_generator_with_noise_of_its_own_is_told_from_one_without(
    project: Path, make: Callable[[], Network], expected: bool
) -> None:
    from nada.checkpoints import save_generator

    save_generator(Path("generator.safetensors"), make())
    assert makes_noise(Path("generator.safetensors")) is expected
