"""A generator that is put together from a wheel of the package index and a part that comes with the project."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nada.checkpoints import load_generator, read_any
from nada.checkpoints.openvino.smaller import compose, read_part, save_part
from nada.errors import CheckpointError, FetchError
from nada.generators.mobilestylegan.network import MobileStyleGAN, MobileStyleGANConfig
from nada.latents import draw_z, seeded_rng
from tasks.download.composed import compose_entry
from tasks.download.records import read_record
from tests.conftest import TINY_MOBILE, tiny_generator
from tests.openvino_files import as_wheel, networks


def a_whole() -> MobileStyleGAN:
    """A random generator of 64 px."""
    torch.manual_seed(1)
    config = MobileStyleGANConfig.model_validate({**TINY_MOBILE.model_dump(), "resolution": 64, "channel_base": 256})
    return MobileStyleGAN(config).eval().requires_grad_(False)


def trained(whole: MobileStyleGAN) -> MobileStyleGAN:
    """One of 32 px: some of its weights are the whole's, others new and exact in float16."""
    new = {
        "synthesis.torgb.weight": torch.randn(12, 16, 1, 1).half(),
        "synthesis.torgb.bias": torch.randn(12).half(),
        "synthesis.torgb.affine.weight": torch.zeros(16, 8),
        "synthesis.torgb.affine.bias": torch.full((16,), 4.0),
        "synthesis.b16.conv1.bias": torch.randn(16).half(),
    }
    return compose(Path("made"), whole, new)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The wheel of the whole, and the part."""
    wheel, part = tmp_path / "whole.whl", tmp_path / "part.safetensors"
    wheel.write_bytes(as_wheel(networks(a_whole())))
    whole = read_any(wheel)
    assert isinstance(whole, MobileStyleGAN)
    save_part(part, whole, trained(whole))
    return wheel, part


def test_a_part_holds_what_the_whole_does_not_have(files: tuple[Path, Path]) -> None:
    rgb = [f"synthesis.torgb.{leaf}" for leaf in ("affine.bias", "affine.weight", "bias", "weight")]
    tensors = read_part(files[1])
    assert sorted(tensors) == ["synthesis.b16.conv1.bias", *rgb]
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}


@torch.no_grad()
def test_both_together_are_the_smaller_generator(files: tuple[Path, Path], tmp_path: Path) -> None:
    made = compose_entry("small", tmp_path / "small.safetensors", *files)
    torch.manual_seed(1)
    found, whole = load_generator(made.path), read_any(files[0])
    assert isinstance(whole, MobileStyleGAN)
    part = read_part(files[1])
    for name, tensor in found.state_dict().items():
        assert torch.equal(tensor, part[name].float() if name in part else whole.state_dict()[name]), name
    z = draw_z(2, found, seeded_rng(0))
    assert found(z).shape == (2, 3, 32, 32)
    assert torch.equal(found.mapping(z, 0.7)[:, 0], whole.mapping(z, 0.7)[:, 0])


@torch.no_grad()
def test_a_part_may_have_fewer_channels_than_the_whole(files: tuple[Path, Path], tmp_path: Path) -> None:
    whole = read_any(files[0])
    assert isinstance(whole, MobileStyleGAN)
    narrow = {**whole.config.model_dump(), "resolution": 32, "channel_base": whole.config.channels(16) * 8}
    smaller = MobileStyleGAN(MobileStyleGANConfig.model_validate(narrow)).eval().requires_grad_(False).half().float()
    assert smaller.config.channels(16) == whole.config.channels(16) // 2
    blocks = ("mapping.", "synthesis.b4.", "synthesis.b8.")
    smaller.load_state_dict({n: t for n, t in whole.state_dict().items() if n.startswith(blocks)}, strict=False)
    save_part(files[1], whole, smaller)
    assert not [name for name in read_part(files[1]) if name.startswith(blocks)]
    found = load_generator(compose_entry("small", tmp_path / "small.safetensors", *files).path)
    assert isinstance(found, MobileStyleGAN)
    assert [found.config.channels(size) for size in (4, 8, 16)] == [16, 16, 8]
    z = draw_z(2, found, seeded_rng(0))
    assert torch.equal(found(z), smaller(z))


def test_it_is_put_together_again_when_a_file_has_changed(files: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    first = compose_entry("small", path, *files)
    assert read_record(path)["sha256"] == first.sha256
    assert compose_entry("small", path, *files).is_new is False
    whole = read_any(files[0])
    changed = copy.deepcopy(trained(whole))  # type: ignore[arg-type]
    changed.synthesis.torgb.bias.zero_()
    save_part(files[1], whole, changed)
    second = compose_entry("small", path, *files)
    assert second.is_new and second.sha256 != first.sha256
    assert not load_generator(path).state_dict()["synthesis.torgb.bias"].any()


def test_a_file_that_somebody_put_there_is_left_alone(files: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    path.write_bytes(b"mine")
    with pytest.raises(FetchError, match=r"is not of the file that was put together here; nada weights fetch small"):
        compose_entry("small", path, *files)
    assert path.read_bytes() == b"mine"
    assert compose_entry("small", path, *files, force=True).is_new


def test_a_part_that_is_not_there_is_told(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^nowhere: no such file; it comes with nada's repository"):
        compose_entry("small", tmp_path / "small.safetensors", files[0], Path("nowhere"))


def test_what_is_no_part_or_of_another_generator_is_refused(tmp_path: Path) -> None:
    path, whole = tmp_path / "a.safetensors", a_whole()
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"not a part of a generator; expected the metadata"):
        read_part(path)
    save_file({"x": torch.zeros(1, dtype=torch.int8)}, path, {"nada_part": "1"})
    with pytest.raises(CheckpointError, match=r"'x' is no plain tensor of floats"):
        read_part(path)
    bias = torch.zeros(16)
    for part, message in (
        ({"x": bias}, "no block in it; expected one of 4, 8, 16, 32"),
        ({"synthesis.b64.conv1.bias": bias}, "block b64 in it; expected one of 4, 8, 16, 32"),
        ({"synthesis.b16.conv1.bias": bias}, "4 keys missing (first: 'synthesis.torgb.weight')"),
        ({**part_of(whole), "synthesis.b16.x": bias}, "1 keys unknown (first: 'synthesis.b16.x')"),
        ({**part_of(whole), "synthesis.torgb.bias": bias}, "'synthesis.torgb.bias' has shape [16]; expected [12]"),
        ({**part_of(whole), "synthesis.torgb.bias": torch.full((12,), torch.nan)}, "holds NaN or infinite values"),
    ):
        with pytest.raises(CheckpointError) as caught:
            compose(path, whole, part)
        assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)
    with pytest.raises(CheckpointError, match="a part of a MobileStyleGAN does not fit to a StyleGAN2"):
        compose(path, tiny_generator(), {})


def part_of(whole: MobileStyleGAN) -> dict[str, torch.Tensor]:
    smaller = trained(whole).state_dict()
    return {name: smaller[name] for name in smaller if "torgb" in name or name == "synthesis.b16.conv1.bias"}


def test_a_value_beyond_float16_is_refused(tmp_path: Path) -> None:
    whole, smaller = a_whole(), trained(a_whole())
    smaller.synthesis.torgb.bias.fill_(1e6)
    with pytest.raises(CheckpointError, match=r"'synthesis.torgb.bias' is beyond float16's range"):
        save_part(tmp_path / "part.safetensors", whole, smaller)
    assert not list(tmp_path.iterdir())
