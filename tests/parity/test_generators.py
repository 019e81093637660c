"""Our generators against recorded outputs of the reference implementations, forward and gradient."""

from __future__ import annotations

import pytest
from torch import Tensor

from nada.generators.registry import Network
from tests.checkpoint_files import GOLDEN_CONFIGS, golden_arrays, golden_network

TOLERANCE = 1e-5  # of the largest value; 1e-6 was measured
GRADIENT_TOLERANCE = 1e-4  # the last bit of a value near zero decides a leaky ReLU's slope: 5e-5 was seen


@pytest.fixture(params=sorted(GOLDEN_CONFIGS))
def case(request: pytest.FixtureRequest) -> tuple[Network, dict[str, Tensor]]:
    return golden_network(request.param), golden_arrays(request.param)


def difference(ours: Tensor, recorded: Tensor) -> float:
    return float((ours.detach() - recorded).abs().max() / recorded.abs().max())


@pytest.mark.parametrize("psi", [1.0, 0.7])
def test_mapping_and_images_match_the_reference(case: tuple[Network, dict[str, Tensor]], psi: float) -> None:
    generator, golden = case
    ws = generator.mapping(golden["z"], psi)
    assert difference(ws, golden[f"ws_psi{psi}"]) < TOLERANCE
    assert difference(generator.synthesis(ws, noise="const"), golden[f"img_psi{psi}"]) < TOLERANCE


def test_gradient_of_ws_matches_the_reference(case: tuple[Network, dict[str, Tensor]]) -> None:
    generator, golden = case
    ws = golden["ws_psi1.0"].requires_grad_()
    generator.synthesis(ws, noise="const").square().mean().backward()
    assert ws.grad is not None
    assert difference(ws.grad, golden["grad_ws"]) < GRADIENT_TOLERANCE
