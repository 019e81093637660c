"""MobileStyleGAN's own parts: wavelets, separable convolutions, noise that never changes, and its architecture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nada.errors import CheckpointError, ShapeError
from nada.generators.mobilestylegan.network import MobileStyleGAN, MobileStyleGANConfig
from nada.generators.mobilestylegan.ops import inverse_haar, separable_conv
from nada.generators.registry import parse_architecture
from nada.latents import draw_ws, seeded_rng
from tests.conftest import TINY_MOBILE, tiny_mobilestylegan

HALF = 0.5
CORNERS = {  # what a single number in each place becomes
    "low": [[HALF, HALF], [HALF, HALF]],
    "rows": [[HALF, HALF], [-HALF, -HALF]],
    "columns": [[HALF, -HALF], [HALF, -HALF]],
    "diagonals": [[HALF, -HALF], [-HALF, HALF]],
}


@pytest.mark.parametrize("place", range(4), ids=list(CORNERS))
def test_each_wavelet_spreads_over_four_pixels(place: int) -> None:
    x = torch.zeros(1, 4, 1, 1)
    x[0, place] = 1
    assert inverse_haar(x)[0, 0].tolist() == list(CORNERS.values())[place]


def test_low_channels_come_first_and_details_by_channel() -> None:
    x = torch.randn(2, 12, 4, 4)
    of_each = [inverse_haar(x[:, [c, 3 + 3 * c, 4 + 3 * c, 5 + 3 * c]]) for c in range(3)]
    assert torch.equal(inverse_haar(x), torch.cat(of_each, dim=1))


def test_the_transform_keeps_the_norm() -> None:
    x = torch.randn(2, 8, 4, 4, dtype=torch.float64)
    assert torch.allclose(inverse_haar(x).square().sum(), x.square().sum())


def test_styles_scale_what_a_separable_convolution_reads() -> None:
    x, styles = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    depthwise, pointwise = torch.randn(3, 1, 3, 3).double(), torch.randn(4, 3, 1, 1).double()
    scaled = x * styles[:, :, None, None]
    expected = F.conv2d(F.conv2d(scaled, depthwise, padding=1, groups=3), pointwise)
    assert torch.allclose(separable_conv(x, styles, depthwise, pointwise), expected)


def test_the_published_generator_has_its_layers_and_parameters() -> None:
    config = MobileStyleGANConfig(resolution=1024)
    with torch.device("meta"):
        generator = MobileStyleGAN(config)
    assert [config.channels(size) for size in config.sizes] == [512, 512, 512, 512, 512, 256, 128, 64]
    assert (generator.num_ws, len(generator.conv_layers())) == (16, 15)
    assert sum(parameter.numel() for parameter in generator.parameters()) == 9_407_628
    assert [len(layer.weights) for layer in generator.conv_layers()] == [2, *[3] * 14]


def test_noise_is_part_of_the_weights_until_it_is_left_out() -> None:
    generator = tiny_mobilestylegan()
    ws = draw_ws(2, generator, seeded_rng(0))
    assert generator.draw_noise(2, seeded_rng(0)) == ()
    with_noise = generator.synthesis(ws)
    assert torch.equal(with_noise, generator.synthesis(ws, noise=()))
    assert not torch.allclose(with_noise, generator.synthesis(ws, noise="none"))
    with pytest.raises(ShapeError, match=r"^noise: expected no maps, got 1; draw them with draw_noise$"):
        generator.synthesis(ws, noise=(torch.zeros(2, 1, 4, 4),))


def test_the_row_of_a_blocks_first_convolution_scales_its_wavelets() -> None:
    generator = tiny_mobilestylegan()
    rows = {layer.name: layer.ws_index for layer in generator.style_layers()}
    assert generator.config.wavelet_rows() == {"b8.wavelets": rows["b8.conv0"]}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"resolution": 4}, "resolution is 4; the smallest is 8, twice that of the first features"),
        ({"channel_max": 6}, "6 channels at 4 px; expected a multiple of 4"),
        ({"channel_base": 2}, "0 channels at 4 px; expected a multiple of 4"),
        ({"conv_clamp": 256.0}, "conv_clamp: this family does not clamp its activations"),
    ],
)
def test_impossible_architectures_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        parse_architecture("a file", {**TINY_MOBILE.model_dump(), **changes})
    assert problem in str(caught.value)
