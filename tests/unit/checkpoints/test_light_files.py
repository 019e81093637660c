"""Files of light domains: kilobytes that come back bit for bit, on their base and on no other; none is trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from nada.checkpoints import inspect, load_generator, load_light, read_any, save_delta, save_generator, save_light
from nada.checkpoints.base_model import Parent
from nada.checkpoints.canonical import load_moves, read_header
from nada.errors import CheckpointError, ParentError
from nada.generators.light.generator import LightGenerator
from nada.generators.light.moves import StyleMoves
from nada.generators.registry import Network
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3
from tests.unit.generators.test_light import draw, of_each_family, some_moves

__all__ = ["tiny_mobilestylegan", "tiny_stylegan3"]


def write(path: Path, light: LightGenerator) -> Parent:
    """A light file, and its parent in the library's place for parents."""
    base_path = path.parent.parent / "_parents" / "base.safetensors"
    save_generator(base_path, light.base)
    parent = Parent.of(base_path, "ffhq.pkl")
    save_light(path, light, parent)
    return parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "library" / "sketch" / "generator.safetensors"


@of_each_family
def test_it_comes_back_bit_for_bit_on_a_shared_base(make: Callable[[], Network], path: Path) -> None:
    base = make()
    light = LightGenerator(base, some_moves(base, 1, "multiplier", "offset"))
    parent = write(path, light)
    back = load_light(path, base, parent.sha256)
    assert back.base is base and torch.equal(draw(back), draw(light))
    assert path.stat().st_size < 4000
    whole = load_generator(path)  # found by its parent's bytes, as a difference is
    assert torch.equal(draw(whole), draw(light.folded()))
    assert inspect(path).parent == parent


def test_few_channels_are_few_bytes(path: Path) -> None:
    base = tiny_generator()
    few = torch.zeros(16)
    few[[2, 11]] = torch.tensor([0.5, -2.0])
    write(path, LightGenerator(base, StyleMoves({}, {"b4.conv1": few, "b8.conv0": torch.zeros(16)})))
    assert {name: tensor.tolist() for name, tensor in load_file(path).items()} == {
        "offset": [0.5, -2.0],
        "offset.channels": [2, 11],
    }
    assert load_moves(path)[0].offset == ("b4.conv1",)
    assert load_moves(path)[1].offset["b4.conv1"].tolist() == few.tolist()


def test_another_base_is_refused_unless_it_is_meant(path: Path) -> None:
    parent = write(path, LightGenerator(tiny_generator(), some_moves(tiny_generator(), 1, "offset")))
    other = tiny_generator(seed=5)
    with pytest.raises(ParentError) as caught:
        load_light(path, other, "0" * 64)
    assert str(caught.value) == (
        f"{path}: moves the styles of 'ffhq.pkl' (sha256 {parent.sha256}), and not of the generator with sha256 "
        f"{'0' * 64}"
    )
    assert load_light(path, other).base is other
    with pytest.raises(CheckpointError, match=r"generator.safetensors: offsets of 16 channels of 'b4.conv1', which"):
        load_light(path, tiny_stylegan3())


def test_a_parent_that_is_gone_is_told_and_a_light_file_is_none(path: Path, tmp_path: Path) -> None:
    light = LightGenerator(tiny_generator(), some_moves(tiny_generator(), 1, "offset"))
    write(path, light)
    with pytest.raises(CheckpointError, match="is itself a delta; a delta's parent is a whole file"):
        save_delta(tmp_path / "delta.safetensors", tiny_generator(), path, "sketch")
    (path.parent.parent / "_parents" / "base.safetensors").unlink()
    with pytest.raises(ParentError, match="copy that file into one of them"):
        read_any(path)


def test_weights_are_no_light_domain(tmp_path: Path) -> None:
    save_generator(tmp_path / "whole.safetensors", tiny_generator())
    with pytest.raises(CheckpointError) as caught:
        load_moves(tmp_path / "whole.safetensors")
    assert str(caught.value) == (
        f"{tmp_path / 'whole.safetensors'}: holds weights of its own, no style multipliers or offsets; expected a row "
        "of adapt.parameters: modulation or style-offset"
    )


Change = Callable[[dict[str, Any], dict[str, Tensor]], None]
DAMAGES: dict[str, tuple[Change, str]] = {
    "a tensor more": (lambda light, tensors: tensors.update(weight=torch.ones(2)), "'weight' is no part of a light"),
    "a layer twice": (lambda light, tensors: light.update(offset=["b4.conv1"] * 2), "it names a layer twice"),
    "no such layer": (lambda light, tensors: light.update(offset=["b9.conv1"]), "it moves 'b9.conv1', which its arch"),
    "too few numbers": (
        lambda light, tensors: tensors.update(offset=torch.ones(3)),
        "'offset' has 3 numbers; its layers have 32 channels",
    ),
    "missing": (lambda light, tensors: tensors.pop("offset"), "'offset' is no list of finite float32"),
    "not finite": (lambda light, tensors: tensors["offset"].fill_(torch.nan), "'offset' is no list of finite float32"),
    "another type": (lambda light, tensors: tensors.update(offset=torch.ones(32).half()), "no list of finite float32"),
    "channels that fall": (
        lambda light, tensors: tensors.update({"offset": torch.ones(2), "offset.channels": torch.tensor([5, 4]).int()}),
        "'offset.channels' does not say which of 32 channels",
    ),
    "a channel beyond": (
        lambda light, tensors: tensors.update({"offset": torch.ones(1), "offset.channels": torch.tensor([32]).int()}),
        "'offset.channels' does not say which of 32 channels",
    ),
    "a channel before": (
        lambda light, tensors: tensors.update({"offset": torch.ones(1), "offset.channels": torch.tensor([-1]).int()}),
        "'offset.channels' does not say which of 32 channels",
    ),
    "a parent without bytes": (lambda light, tensors: light["parent"].update(sha256="x"), "light.parent.sha256: "),
    "unknown fields": (lambda light, tensors: light.update(code="x"), "light.code: "),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_in_one_line(damage: str, path: Path) -> None:
    base = tiny_generator()
    write(path, LightGenerator(base, StyleMoves({}, {"b4.conv1": torch.ones(16), "b8.conv0": torch.ones(16)})))
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["nada"])
    change, problem = DAMAGES[damage]
    tensors = load_file(path)
    change(header["light"], tensors)
    save_file(tensors, path, {"nada": json.dumps(header)})
    with pytest.raises(CheckpointError) as caught:
        load_light(path, base)
    assert problem in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_is_a_delta_or_light_and_not_both(path: Path) -> None:
    write(path, LightGenerator(tiny_generator(), StyleMoves()))
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["nada"])
    header["delta"] = {"parent": header["light"]["parent"], "sha256": "0" * 64}
    save_file({}, path, {"nada": json.dumps(header)})
    with pytest.raises(CheckpointError, match="both a delta and a light domain"):
        read_header(path)
