"""Our StyleGAN2 against recorded outputs of the reference implementation, forward and gradient."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from nada.stylegan2 import StyleGAN2, StyleGAN2Config

GOLDEN = Path(__file__).parent / "golden"
TOLERANCE = 1e-5  # of the largest value; 1e-6 was measured

CONFIGS = {
    "nv2_32px": StyleGAN2Config(z_dim=32, w_dim=32, resolution=32, channel_base=1024, channel_max=32, mapping_layers=2),
    "nv2_64px_clamp": StyleGAN2Config(
        z_dim=24, w_dim=40, resolution=64, channel_base=1024, channel_max=48, mapping_layers=8, conv_clamp=256
    ),
}


def rebuild_weights(generator: torch.nn.Module, name: str) -> None:
    """Fill the generator with the recorded world's weights: seeded by each key, scaled and shifted."""
    state = generator.state_dict()
    keys = json.loads((GOLDEN / f"{name}.keys.json").read_text())
    assert {key for key, _, _ in keys} == set(state)
    for key, shape, how in keys:
        assert list(state[key].shape) == shape
        if how == "kept":
            continue
        scale, offset = how
        values = np.asarray(np.random.RandomState(zlib.crc32(key.encode())).randn(*shape), dtype=np.float32)
        state[key].copy_(torch.from_numpy(np.asarray(values * np.float32(scale) + np.float32(offset))))


@pytest.fixture(params=sorted(CONFIGS))
def case(request: pytest.FixtureRequest) -> tuple[StyleGAN2, dict[str, np.ndarray]]:
    generator = StyleGAN2(CONFIGS[request.param]).requires_grad_(False)
    rebuild_weights(generator, request.param)
    return generator, dict(np.load(GOLDEN / f"{request.param}.npz"))


def assert_close(ours: torch.Tensor, recorded: np.ndarray) -> None:
    difference = np.abs(ours.detach().numpy() - recorded).max() / np.abs(recorded).max()
    assert difference < TOLERANCE, f"largest difference {difference:.1e} of the largest value"


@pytest.mark.parametrize("psi", [1.0, 0.7])
def test_mapping_and_images_match_the_reference(case: tuple[StyleGAN2, dict[str, np.ndarray]], psi: float) -> None:
    generator, golden = case
    ws = generator.mapping(torch.from_numpy(golden["z"]).float(), psi)
    assert_close(ws, golden[f"ws_psi{psi}"])
    assert_close(generator.synthesis(ws, noise="const"), golden[f"img_psi{psi}"])


def test_gradient_of_ws_matches_the_reference(case: tuple[StyleGAN2, dict[str, np.ndarray]]) -> None:
    generator, golden = case
    ws = torch.from_numpy(golden["ws_psi1.0"]).requires_grad_()
    generator.synthesis(ws, noise="const").square().mean().backward()
    assert ws.grad is not None
    assert_close(ws.grad, golden["grad_ws"])
