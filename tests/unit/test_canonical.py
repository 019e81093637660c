from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nada.checkpoints.canonical import load_generator, read_config, save_generator
from nada.errors import CheckpointError, OutputError
from tests.conftest import TINY, tiny_generator


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "generator.safetensors"
    save_generator(path, tiny_generator())
    return path


def header(config: dict[str, object], format_version: int = 1) -> dict[str, str]:
    return {"nada": json.dumps({"format": format_version, "config": config})}


def test_a_round_trip_is_exact(saved: Path) -> None:
    loaded, original = load_generator(saved).state_dict(), tiny_generator().state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in original.items())
    assert read_config(saved) == TINY


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
    with pytest.raises(CheckpointError, match="architecture field 'resolution': Input should be less than or equal"):
        load_generator(saved)


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
