"""Deltas rebuild exactly from their parent and from no other; float16 is close, and says when it cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nada.checkpoints import inspect, load_generator, read_any, save_delta, save_fp16, save_generator
from nada.checkpoints.canonical import read_header
from nada.checkpoints.fp16 import round_to_fp16
from nada.errors import CheckpointError, ParentError
from nada.generators.registry import Network
from nada.hashing import sha256_file
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3

FAMILIES = [tiny_generator, tiny_stylegan3, tiny_mobilestylegan]


def adapted(generator: Network) -> Network:
    """As after some training: every convolution moved a little, all else as it was."""
    rng = torch.Generator().manual_seed(1)
    for layer in generator.conv_layers():
        for weight in layer.weights:
            weight.data += 0.01 * torch.randn(weight.shape, generator=rng)
    return generator


def tensors_equal(one: Network, two: Network) -> bool:
    ours, theirs = one.state_dict(), two.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    path = tmp_path / "library" / "_parents" / "source.safetensors"
    save_generator(path, tiny_generator())
    return path


@pytest.fixture
def delta(tmp_path: Path, parent: Path) -> Path:
    path = tmp_path / "library" / "sketch" / "generator.safetensors"
    save_delta(path, adapted(tiny_generator()), parent, "ffhq.pkl")
    return path


@pytest.mark.parametrize("make", FAMILIES)
def test_a_delta_rebuilds_exactly_and_is_smaller(make: Any, tmp_path: Path) -> None:
    save_generator(tmp_path / "parent.safetensors", make())
    save_generator(tmp_path / "whole" / "whole.safetensors", adapted(make()))
    save_delta(tmp_path / "delta.safetensors", adapted(make()), tmp_path / "parent.safetensors", "parent")
    assert tensors_equal(load_generator(tmp_path / "delta.safetensors"), adapted(make()))
    size, whole = ((tmp_path / name).stat().st_size for name in ("delta.safetensors", "whole/whole.safetensors"))
    assert size < 0.9 * whole


def test_a_delta_of_nothing_is_its_parent(parent: Path, tmp_path: Path) -> None:
    path = tmp_path / "library" / "same" / "generator.safetensors"
    save_delta(path, tiny_generator(), parent, "parent")
    assert load_file(path) == {}
    assert tensors_equal(load_generator(path), tiny_generator())


def test_a_library_reads_wherever_it_is_moved(delta: Path, tmp_path: Path) -> None:
    library = shutil.move(tmp_path / "library", tmp_path / "elsewhere")
    assert tensors_equal(read_any(Path(library) / "sketch" / delta.name), adapted(tiny_generator()))


def test_a_parent_is_found_beside_its_delta_and_in_folders_given(delta: Path, parent: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "sketch.safetensors"
    alone.parent.mkdir()
    shutil.copy(delta, alone)
    assert tensors_equal(load_generator(alone, parent_folders=[parent.parent]), adapted(tiny_generator()))
    shutil.copy(parent, alone.parent / "anything.safetensors")
    assert tensors_equal(load_generator(alone), adapted(tiny_generator()))


def test_a_missing_parent_is_named_with_where_it_was_looked_for(delta: Path, parent: Path, tmp_path: Path) -> None:
    sha256 = sha256_file(parent)
    parent.unlink()
    with pytest.raises(ParentError) as caught:
        load_generator(delta, parent_folders=[tmp_path / "more"])
    assert str(caught.value) == (
        f"{delta}: holds only what changed against 'ffhq.pkl', whose canonical file (sha256 {sha256}) is in none of "
        f"{delta.parent}, {parent.parent}, {tmp_path / 'more'}; copy that file into one of them"
    )


def test_a_changed_parent_of_the_same_size_is_refused(delta: Path, parent: Path) -> None:
    sha256 = sha256_file(parent)
    save_generator(parent, tiny_generator(seed=5))
    with pytest.raises(ParentError, match=rf"sha256 {sha256}\) is in none of"):
        load_generator(delta)
    parent.rename(parent.with_name(f"{sha256}.safetensors"))
    with pytest.raises(ParentError, match=rf"{sha256}\.safetensors bears its name and has other bytes"):
        load_generator(delta)


def test_the_header_tells_of_the_parent_and_needs_none(delta: Path, parent: Path) -> None:
    expected = {"name": "ffhq.pkl", "sha256": sha256_file(parent), "size_bytes": parent.stat().st_size}
    held = inspect(delta)
    assert held.parent is not None and held.parent.model_dump() == expected
    assert inspect(parent).parent is None
    parent.unlink()
    header = read_header(delta)
    assert header.delta is not None and header.delta.parent.model_dump() == expected
    assert header.config == tiny_generator().config


def rewrite(path: Path, edit: Any) -> None:
    """Change the header or the tensors of a file."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["nada"])
    tensors = load_file(path)
    edit(header, tensors)
    save_file(tensors, path, {"nada": json.dumps(header)})


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda h, t: t.popitem(), "the rebuilt tensors are not those that were saved; copy or fetch it again"),
        (lambda h, t: h["delta"].update(sha256="0" * 64), "the rebuilt tensors are not those that were saved"),
        (lambda h, t: h["delta"].update(sha256="short"), r"delta\.sha256: String should match pattern"),
        (lambda h, t: h["delta"]["parent"].update(path="../../x"), r"delta\.parent\.path: Extra inputs are not"),
        (lambda h, t: h.update(delta=[]), r"delta: Input should be a valid dictionary"),
        (lambda h, t: h["config"].update(conv_clamp=256.0), "is no parent of this delta, whose architecture is"),
        (lambda h, t: h.pop("delta"), r"is no plain tensor of floats \(torch.uint8"),
        (lambda h, t: t.update(extra=torch.zeros(3, dtype=torch.uint8)), "'extra' is no tensor of the parent; copy or"),
    ],
)
def test_a_damaged_delta_is_refused(delta: Path, edit: Any, reason: str) -> None:
    rewrite(delta, edit)
    with pytest.raises(CheckpointError, match=reason):
        load_generator(delta)


def test_a_delta_of_a_delta_is_refused(delta: Path, tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"generator\.safetensors: is itself a delta; a delta's parent is a whole file"
    ):
        save_delta(tmp_path / "second.safetensors", tiny_generator(), delta, "sketch")


def test_a_parent_of_another_architecture_is_refused(tmp_path: Path, parent: Path) -> None:
    with pytest.raises(CheckpointError, match="is no parent of this delta, whose architecture is another"):
        save_delta(tmp_path / "second.safetensors", tiny_stylegan3(), parent, "parent")


@pytest.mark.parametrize("make", FAMILIES)
def test_half_reads_back_as_the_rounded_generator(make: Any, tmp_path: Path) -> None:
    path, rounded = tmp_path / "half.safetensors", adapted(make())
    save_fp16(path, adapted(make()))
    round_to_fp16(path, rounded)
    loaded = load_generator(path)
    assert tensors_equal(loaded, rounded) and not tensors_equal(loaded, adapted(make()))
    assert all(tensor.dtype == torch.float32 for tensor in loaded.state_dict().values())
    stored = load_file(path)
    synthesis = {name for name, _ in loaded.named_parameters() if name.startswith("synthesis.")}
    assert {name for name, tensor in stored.items() if tensor.dtype == torch.float16} == synthesis


def test_what_float16_cannot_hold_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    generator = tiny_generator()
    generator.synthesis.block(8).conv0.bias.data[3] = -70_000
    with pytest.raises(CheckpointError, match=r"half\.safetensors: 'synthesis\.b8\.conv0\.bias' holds 70000, beyond "):
        save_fp16(tmp_path / "half.safetensors", generator)
    assert list(tmp_path.iterdir()) == []
