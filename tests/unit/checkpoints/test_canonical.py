from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nada.checkpoints.canonical import load_generator, read_header, save_generator
from nada.errors import CheckpointError, OutputError
from nada.generators.registry import Network
from tests.conftest import TINY, TINY3, tiny_generator, tiny_mobilestylegan, tiny_stylegan3

TINY_OF_EACH_FAMILY = [tiny_generator(), tiny_stylegan3(), tiny_mobilestylegan()]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "generator.safetensors"
    save_generator(path, tiny_generator())
    return path


def header(config: dict[str, object], format_version: int = 1) -> dict[str, str]:
    return {"nada": json.dumps({"format": format_version, "config": config})}


@pytest.mark.parametrize("original", TINY_OF_EACH_FAMILY, ids=lambda generator: generator.config.family)
def test_a_round_trip_is_exact(original: Network, tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    save_generator(path, original)
    loaded = load_generator(path).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in original.state_dict().items())
    assert read_header(path).config == original.config


def test_saving_twice_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save_generator(tmp_path / "again.safetensors", load_generator(saved))
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


def test_nothing_partial_remains(saved: Path) -> None:
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file; expected a generator"):
        load_generator(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_generator(saved)


def test_other_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="without a nada header"):
        load_generator(path)


def test_a_missing_tensor_is_named(saved: Path) -> None:
    tensors = load_file(saved)
    del tensors["synthesis.b8.conv0.weight"]
    save_file(tensors, saved, header(TINY.model_dump()))
    with pytest.raises(
        CheckpointError, match=r"1 keys missing \(first: 'synthesis.b8.conv0.weight'\); expected a 16 px"
    ):
        load_generator(saved)


def test_an_absurd_architecture_is_refused_before_memory_is_taken(saved: Path) -> None:
    save_file(load_file(saved), saved, header({**TINY.model_dump(), "resolution": 1 << 30}))
    with pytest.raises(CheckpointError, match=r"architecture: 'resolution' is \d+; expected 2048 or less"):
        load_generator(saved)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"family": "biggan"}, "architecture: the family is 'biggan'; known are stylegan2, stylegan3"),
        ({**TINY.model_dump(), "depth": 3}, "architecture: 'depth' is 3; no such field is known"),
        ({**TINY3.model_dump(), "num_critical": 6}, "architecture: num_critical is 6; it must be below"),
        ({**TINY3.model_dump(), "first_cutoff": 7}, "architecture: first_cutoff is 7.0; it must not"),
        ({**TINY3.model_dump(), "channel_base": 3}, "architecture: channel_base is 3; the last layers"),
        (
            {**TINY3.model_dump(), "output_scale": float("nan")},
            "architecture: 'output_scale' is nan; expected a finite",
        ),
    ],
)
def test_impossible_architectures_are_refused_with_the_reason(
    saved: Path, config: dict[str, object], message: str
) -> None:
    save_file(load_file(saved), saved, header(config))
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_generator(saved)


def test_filters_of_another_architecture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    save_generator(path, tiny_stylegan3())
    save_file(load_file(path), path, header({**TINY3.model_dump(), "last_stopband_rel": 1.3}))
    with pytest.raises(CheckpointError, match=r"'.*_filter' is not the low-pass filter that its architecture has"):
        load_generator(path)


def test_nan_weights_are_refused(saved: Path) -> None:
    tensors = load_file(saved)
    tensors["mapping.w_avg"][0] = float("nan")
    save_file(tensors, saved, header(TINY.model_dump()))
    with pytest.raises(CheckpointError, match=r"'mapping.w_avg' holds NaN or infinite values"):
        load_generator(saved)


def test_a_newer_format_is_refused_by_number(saved: Path) -> None:
    save_file(load_file(saved), saved, header(TINY.model_dump(), format_version=9))
    with pytest.raises(CheckpointError, match="format 9; this version reads format 1"):
        load_generator(saved)


def test_a_folder_that_cannot_be_made_is_an_output_error(saved: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save_generator(saved / "below-a-file.safetensors", tiny_generator())


def test_opening_one_imports_no_compiler(saved: Path) -> None:
    """Whoever draws some pictures would wait a second for it."""
    code = (
        "import sys; from pathlib import Path; from nada.checkpoints.canonical import load_generator; "
        f"load_generator(Path({str(saved)!r})); print({{'torch._dynamo', 'sympy'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
