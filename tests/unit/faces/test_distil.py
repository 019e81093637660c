"""How the smaller generator is distilled, on a network of 128 px."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from nada.checkpoints.openvino.smaller import compose, read_part, save_part
from nada.generators.mobilestylegan.network import MobileStyleGAN, MobileStyleGANConfig
from nada.images import from_u8


@pytest.fixture
def distil(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("distil")


@pytest.fixture
def whole() -> MobileStyleGAN:
    torch.manual_seed(0)
    config = MobileStyleGANConfig(z_dim=8, w_dim=8, resolution=128, channel_base=512, channel_max=16, mapping_layers=2)
    return MobileStyleGAN(config).eval().requires_grad_(False)


def test_pairs_are_the_wholes_pictures_averaged(distil: ModuleType, whole: MobileStyleGAN) -> None:
    w, _ = distil.draw_pairs(whole, 2, 64, seed=0)
    ws = w[:, None].expand(-1, whole.num_ws, -1)
    with torch.no_grad():
        whole.synthesis.torgb.weight /= 2 * whole.synthesis(ws).abs().max()
        drawn = whole.synthesis(ws)
    again, img_u8 = distil.draw_pairs(whole, 2, 64, seed=0)
    assert torch.equal(again, w)
    expected = drawn[:, :, :2, :2].mean(dim=(2, 3))
    assert torch.allclose(from_u8(img_u8)[:, :, 0, 0], expected, atol=0.5 / 127.5 + 1e-4)


def test_narrow_blocks_begin_as_the_first_channels_of_the_wholes(distil: ModuleType, whole: MobileStyleGAN) -> None:
    student = distil.first_blocks(whole, 64, channel_base=256)
    assert [student.config.channels(size) for size in (8, 16, 32)] == [16, 16, 8]
    assert torch.equal(student.synthesis.block(32).conv1.weight, whole.synthesis.block(32).conv1.weight[:8, :8])
    assert torch.equal(student.synthesis.block(16).conv1.weight, whole.synthesis.block(16).conv1.weight)
    styles = student.synthesis.styles(torch.randn(2, student.num_ws, 8))["torgb"]
    assert torch.allclose(styles * student.synthesis.torgb.style_gain, torch.ones(2, 8))


def test_training_comes_nearer_and_changes_what_is_written_alone(
    distil: ModuleType, whole: MobileStyleGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"BATCH": 4, "WARM_UP": 1, "RGB_RATE": 0.05}.items():
        monkeypatch.setattr(distil, name, value)
    student, w = distil.first_blocks(whole, 64, channel_base=256), torch.randn(8, 8) / 10
    img_u8 = torch.full((8, 3, 64, 64), 250, dtype=torch.uint8)
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    losses = list(distil.train(distil.TwoSizes(student), w, img_u8, coarse, steps=40, seed=0))
    assert len(losses) == 40 and sum(losses[-5:]) < 0.8 * sum(losses[:5])
    changed = {name for name, tensor in student.state_dict().items() if not torch.equal(tensor, before[name])}
    blocks = ("synthesis.b8.conv0.", "synthesis.b8.conv1.", "synthesis.b16.", "synthesis.b32.", "synthesis.torgb.")
    assert all(name.startswith(blocks) for name in changed)
    assert {"synthesis.b32.conv1.noise_const", "synthesis.b8.conv0.affine.weight"} < changed
    assert not {"synthesis.torgb.affine.weight", "synthesis.b8.wavelets.affine.weight"} & changed
    path = tmp_path / "part.safetensors"
    save_part(path, whole, student)
    again = compose(path, whole, read_part(path)).state_dict()
    for name, tensor in student.state_dict().items():
        assert torch.allclose(again[name], tensor, rtol=1e-3, atol=1e-6), name


def coarse(img: Tensor) -> list[Tensor]:
    """Features of a network that sees means alone."""
    return [torch.nn.functional.avg_pool2d(img, 8)]
