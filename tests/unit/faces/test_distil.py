"""How the smaller generator is distilled, on a network of 64 px."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from nada.checkpoints.openvino.smaller import compose, read_part
from nada.generators.mobilestylegan.network import MobileStyleGAN, MobileStyleGANConfig
from nada.generators.mobilestylegan.ops import inverse_haar

SCRIPT = Path(__file__).parents[3] / "examples" / "faces" / "build" / "distil.py"


@pytest.fixture(scope="module")
def distil() -> ModuleType:
    spec = importlib.util.spec_from_file_location("distil", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def whole() -> MobileStyleGAN:
    torch.manual_seed(0)
    config = MobileStyleGANConfig(z_dim=8, w_dim=8, resolution=64, channel_max=16, mapping_layers=2)
    return MobileStyleGAN(config).eval().requires_grad_(False)


def test_wavelets_are_what_the_inverse_transform_undoes(distil: ModuleType) -> None:
    img = torch.randn(2, 3, 8, 8)
    assert torch.allclose(inverse_haar(distil.haar(img)), img, atol=1e-6)


def test_pairs_are_the_wholes_pictures_averaged(distil: ModuleType, whole: MobileStyleGAN) -> None:
    w, img = distil.draw_pairs(whole, 2, 32, seed=0)
    with torch.no_grad():
        drawn = whole.synthesis(w[:, None].expand(-1, whole.num_ws, -1))
    assert torch.allclose(img[:, :, 0, 0], drawn[:, :, :2, :2].mean(dim=(2, 3)), atol=1e-4)


@torch.no_grad()
def test_regression_finds_the_rgb_that_drew_the_pictures(distil: ModuleType, whole: MobileStyleGAN) -> None:
    teacher, student = distil.first_blocks(whole, 32), distil.first_blocks(whole, 32)
    teacher.synthesis.torgb.weight.normal_(std=0.1)
    teacher.synthesis.torgb.bias.normal_(std=0.1)
    w, _ = distil.draw_pairs(whole, 12, 32, seed=0)
    distil.fit_rgb(student, w, teacher.synthesis(w[:, None].expand(-1, teacher.num_ws, -1)))
    for name in ("weight", "bias"):
        found, expected = (net.synthesis.torgb.get_parameter(name) for net in (student, teacher))
        assert torch.allclose(found, expected, atol=2e-3)


def test_training_comes_nearer_and_changes_what_is_written_alone(
    distil: ModuleType, whole: MobileStyleGAN, tmp_path: Path
) -> None:
    student, w = distil.first_blocks(whole, 32), torch.randn(8, 8) / 10  # larger ones make pictures of any size
    with torch.no_grad():
        img = distil.F.avg_pool2d(whole.synthesis(w[:, None].expand(-1, whole.num_ws, -1)), 2)
    img = img / (4 * img.std())
    before = distil.psnr(student, w, img).mean()
    distil.train(student, w, img, steps=60, seed=0)
    assert distil.psnr(student, w, img).mean() > before + 0.5
    path = tmp_path / "part.safetensors"
    distil.save_part(path, whole, student)
    changed = ("synthesis.b8.conv1.", "synthesis.b16.", "synthesis.torgb.")
    assert all(name.startswith(changed) for name in read_part(path))
    again = compose(path, whole, read_part(path)).state_dict()
    for name, tensor in student.state_dict().items():
        assert torch.allclose(again[name], tensor, rtol=1e-3, atol=1e-6), name
