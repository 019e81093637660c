"""MobileStyleGAN from OpenVINO's files in a wheel: recorded outputs, every tensor, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nada.checkpoints import conversion_report, inspect, load_generator, read_any, save_generator, write_any
from nada.errors import CheckpointError
from tests.checkpoint_files import golden_arrays
from tests.conftest import tiny_mobilestylegan
from tests.openvino_files import as_wheel, networks

FETCHED = Path(__file__).parents[2] / "weights" / "random_face-2021.7.21.1-py3-none-any.whl"
TOLERANCE = 2e-4  # of pictures in [-1, 1] at 1024 px, a tenth of a byte's step; 9e-5 was measured


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.whl"
    path.write_bytes(as_wheel(networks(tiny_mobilestylegan())))
    return path


@pytest.mark.skipif(not FETCHED.is_file(), reason="run nada weights fetch mobilestylegan-ffhq first")
@torch.no_grad()
def test_the_published_network_draws_what_openvino_drew() -> None:
    generator, recorded = read_any(FETCHED), golden_arrays("mobilestylegan_1024px")
    w = generator.mapping.to_w(recorded["z"])
    assert torch.allclose(w, recorded["w"], rtol=0, atol=2e-5)
    img = generator.synthesis(recorded["w"][:1, None].expand(-1, generator.num_ws, -1))
    assert torch.allclose(img[:, :, 400:424, 480:512], recorded["img_crop"][:1], rtol=0, atol=TOLERANCE)
    means = img.unflatten(3, (32, 32)).unflatten(2, (32, 32)).mean(dim=(3, 5))
    assert torch.allclose(means, recorded["img_mean32"][:1], rtol=0, atol=TOLERANCE / 10)


def test_every_tensor_is_read_under_our_names(wheel: Path) -> None:
    source, read = tiny_mobilestylegan(), read_any(wheel)
    assert read.config.style_layers() == source.config.style_layers()
    for name, tensor in source.state_dict().items():
        if name != "mapping.w_avg":
            assert torch.allclose(read.state_dict()[name], tensor, rtol=1e-6, atol=0), name


@torch.no_grad()
def test_the_mean_w_is_measured_to_the_same_bits_each_time(wheel: Path) -> None:
    first, second = read_any(wheel), read_any(wheel)
    assert torch.equal(first.mapping.w_avg, second.mapping.w_avg)
    z = torch.randn(20_000, 8, generator=torch.Generator().manual_seed(1))
    w = first.mapping.to_w(z)
    assert (first.mapping.w_avg - w.mean(dim=0)).abs().max() < 0.05 * w.std()
    assert inspect(wheel).supplied == ("no mean w in the file: measured on fixed latents",)


def test_a_wheel_is_told_from_other_zips(wheel: Path) -> None:
    found = inspect(wheel)
    assert (found.format, found.config.family, found.config.resolution) == ("openvino", "mobilestylegan", 16)
    assert found.notes == ("nvidia: its format holds StyleGAN2 and StyleGAN3 alone.",
                               "rosinality: its format holds StyleGAN2 alone.")  # fmt: skip


def test_the_canonical_copy_is_equal_bit_by_bit(wheel: Path, tmp_path: Path) -> None:
    save_generator(tmp_path / "copy.safetensors", read_any(wheel))
    assert conversion_report(read_any(wheel), load_generator(tmp_path / "copy.safetensors")).is_bit_equal


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.pkl", "NVIDIA's format holds StyleGAN2 and StyleGAN3 alone; write .safetensors"),
        ("out.pt", "rosinality's format holds StyleGAN2 alone; write .safetensors"),
    ],
)
def test_formats_without_a_place_for_it_say_so(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        write_any(tmp_path / name, tiny_mobilestylegan())
    assert str(caught.value) == f"{tmp_path / name}: {message}"
    assert not list(tmp_path.iterdir())
