"""Every format through the one door: what a file is, what it becomes, and what gets lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nada.checkpoints import conversion_report, inspect, read_any, save_generator, write_any
from nada.checkpoints.formats import Format
from nada.errors import CheckpointError
from nada.generators.stylegan2 import StyleGAN2
from nada.hashing import sha256_file
from tests.checkpoint_files import as_nvidia_dict, golden_network, nvidia_tree, write_nvidia
from tests.conftest import tiny_generator


@pytest.fixture
def generator() -> StyleGAN2:
    generator = tiny_generator()
    generator.mapping.w_avg.normal_()
    return generator


@pytest.fixture
def clamped(generator: StyleGAN2, tmp_path: Path) -> StyleGAN2:
    path = tmp_path / "clamped.pkl"
    return read_any(write_nvidia(path, as_nvidia_dict(nvidia_tree(generator.state_dict(), conv_clamp=256))))


@pytest.mark.parametrize(
    "chain",
    [
        ["nada", "nvidia", "nada"],
        ["nada", "rosinality", "nada"],
        ["nvidia", "rosinality", "nvidia"],
        ["rosinality", "nvidia", "nada", "rosinality"],
    ],
)
def test_round_trips_keep_every_bit(generator: StyleGAN2, tmp_path: Path, chain: list[Format]):
    after = generator
    for step, format in enumerate(chain):
        write_any(tmp_path / str(step), after, format)
        assert inspect(tmp_path / str(step)).format == format
        after = read_any(tmp_path / str(step))
    report = conversion_report(generator, after)
    assert report.is_bit_equal and report.image_difference == 0 and report.byte_difference == 0 and not report.lost


@pytest.mark.parametrize("name", ["nv3t_32px", "nv3r_32px"])
def test_stylegan3_keeps_every_bit_in_nvidias_format(name: str, tmp_path: Path):
    generator = golden_network(name)
    write_any(tmp_path / "a.pkl", generator)
    write_any(tmp_path / "b.safetensors", read_any(tmp_path / "a.pkl"))
    report = conversion_report(generator, read_any(tmp_path / "b.safetensors"))
    assert report.is_bit_equal and report.image_difference == 0 and not report.lost


def test_stylegan3_is_refused_by_rosinalitys_format_with_the_way_out(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"holds StyleGAN2 alone; write \.safetensors or \.pkl"):
        write_any(tmp_path / "a.pt", golden_network("nv3t_32px"))


def test_clamp_is_lost_in_rosinalitys_format_and_said(clamped: StyleGAN2, tmp_path: Path):
    write_any(tmp_path / "a.pt", clamped)
    report = conversion_report(clamped, read_any(tmp_path / "a.pt"))
    assert report.is_bit_equal and report.lost == ("conv_clamp was 256.0 and is None.",)
    write_any(tmp_path / "a.pkl", clamped)
    assert not conversion_report(clamped, read_any(tmp_path / "a.pkl")).lost
    save_generator(tmp_path / "a.safetensors", clamped)
    assert inspect(tmp_path / "a.safetensors").notes[0] == (
        "rosinality: conv_clamp 256 is lost; larger activations are no longer clamped."
    )


def test_report_measures_images_and_bytes(generator: StyleGAN2):
    other = tiny_generator(seed=1)
    report = conversion_report(generator, other)
    assert not report.is_bit_equal and report.image_difference > 0.1 and report.byte_difference > 1
    assert report == conversion_report(generator, other) != conversion_report(generator, other, seed=1)


def test_same_generator_gives_the_same_bytes(generator: StyleGAN2, tmp_path: Path):
    for suffix in (".pt", ".pkl", ".safetensors"):
        for name in ("a", "b"):
            write_any(tmp_path / f"{name}{suffix}", generator)
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_inspection_says_what_a_file_holds(generator: StyleGAN2, tmp_path: Path):
    path = tmp_path / "tiny.pt"
    write_any(path, generator)
    held = inspect(path)
    assert (held.format, held.config.family, held.networks, held.supplied) == (
        "rosinality",
        "stylegan2",
        ("g_ema",),
        (),
    )
    assert held.config == generator.config
    assert held.num_parameters == sum(parameter.numel() for parameter in generator.parameters())
    assert held.size_bytes == path.stat().st_size and held.sha256 == sha256_file(path)


def test_inspection_says_that_a_mean_was_measured(generator: StyleGAN2, tmp_path: Path):
    write_any(tmp_path / "tiny.pt", generator)
    content = torch.load(tmp_path / "tiny.pt", weights_only=True)
    torch.save({"g": content["g_ema"], "g_ema": content["g_ema"], "g_optim": {}}, tmp_path / "tiny.pt")
    held = inspect(tmp_path / "tiny.pt")
    assert held.supplied == ("no mean w in the file: measured on fixed latents",)
    assert (held.networks, held.chosen) == (("g", "g_ema"), "g_ema")


def test_suffix_that_names_no_format_is_refused(generator: StyleGAN2, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"onnx: '\.onnx' names no format to write; use \.safetensors \(nada\)"):
        write_any(tmp_path / "a.onnx", generator)
    assert not list(tmp_path.iterdir())
