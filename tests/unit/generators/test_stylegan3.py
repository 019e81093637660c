from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import scipy.special
import torch
import torch.nn.functional as F
from torch import Tensor

from nada.errors import ShapeError
from nada.generators.stylegan3 import StyleGAN3, StyleGAN3Config
from nada.generators.stylegan3_ops import Rates, filtered_leaky_relu, gather, lowpass_filter, spread
from nada.latents import draw_ws, seeded_rng
from tests.conftest import TINY3, tiny_stylegan3

T256 = (
    "L0_36_512 L1_36_512 L2_36_512 L3_52_512 L4_52_512 L5_84_512 L6_84_512 L7_148_362 L8_148_256 L9_148_181 "
    "L10_276_128 L11_276_91 L12_276_64 L13_256_64 L14_256_3"
)
R1024 = (
    "L0_36_1024 L1_36_1024 L2_52_1024 L3_52_1024 L4_84_1024 L5_148_1024 L6_148_1024 L7_276_645 L8_276_406 L9_532_256 "
    "L10_1044_161 L11_1044_102 L12_1044_64 L13_1024_64 L14_1024_3"
)


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (StyleGAN3Config(resolution=256, channel_base=16384), T256),  # L9's rate is a tie but for rounding
        (StyleGAN3Config(resolution=1024, channel_base=65536, channel_max=1024), R1024),
    ],
)
def test_layers_are_named_as_in_the_published_generators(config: StyleGAN3Config, names: str) -> None:
    assert [*(layer.name for layer in config.layers()), config.rgb_name] == names.split()


@pytest.mark.parametrize("taps", [2, 12, 24, 48])
@pytest.mark.parametrize("width", [0.5, 8.0, 30.0])  # each in another range of Kaiser's formula, for some taps
def test_separable_filters_are_those_of_scipy(taps: int, width: float) -> None:
    expected = scipy.signal.firwin(taps, 5.0, width=width, fs=64)
    assert np.abs(lowpass_filter(taps, 5.0, width, 64).numpy() - expected).max() < 1e-7


def test_radial_filters_sum_to_one_and_look_alike_from_every_side() -> None:
    kernel = lowpass_filter(12, 8.0, 9.0, 64, radial=True)
    window = np.kaiser(12, scipy.signal.kaiser_beta(scipy.signal.kaiser_atten(12, 9.0 / 32)))
    radius = np.hypot(*np.meshgrid(np.arange(12) - 5.5, np.arange(12) - 5.5)) / 64
    jinc = scipy.special.j1(2 * np.pi * 8.0 * radius) / radius * np.outer(window, window)
    assert np.abs(kernel.numpy() - jinc / jinc.sum()).max() < 1e-7
    assert torch.equal(kernel, kernel.T)


def filtered_step_by_step(x: Tensor, bias: Tensor, up_filter: Tensor, down_filter: Tensor, rates: Rates) -> Tensor:
    """The definition: zeros between pixels, padding, whole filters, every n-th pixel."""
    channels, taps = x.shape[1], len(up_filter)
    stuffed = torch.zeros(*x.shape[:2], *(side * rates.up for side in x.shape[2:]), dtype=x.dtype)
    stuffed[:, :, :: rates.up, :: rates.up] = x + bias[:, None, None]
    total = (rates.size - 1) * rates.down + 1 - stuffed.shape[-1] + taps + len(down_filter) - 2
    before = (total + rates.up) // 2
    stuffed = F.pad(stuffed, (before, total - before) * 2)
    kernel = torch.outer(up_filter, up_filter) * rates.up**2
    y = F.conv2d(stuffed, kernel.expand(channels, 1, -1, -1), groups=channels)
    y = F.leaky_relu(y, 0.2) * 2**0.5
    y = y if rates.clamp is None else y.clamp(-rates.clamp, rates.clamp)
    kernel = down_filter if down_filter.ndim == 2 else torch.outer(down_filter, down_filter)
    return F.conv2d(y, kernel.expand(channels, 1, -1, -1), groups=channels)[:, :, :: rates.down, :: rates.down]


@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize("is_radial", [False, True])
@pytest.mark.parametrize(("up", "down", "size"), [(2, 2, 9), (4, 2, 20), (2, 2, 5), (4, 4, 9)])
def test_filtered_leaky_relu_equals_its_definition(
    up: int, down: int, size: int, is_radial: bool, clamp: float | None
) -> None:
    rates = Rates(up, down, size, clamp)
    up_filter = lowpass_filter(6 * up, 4.0, 8.0, 16.0 * up).double()
    down_filter = lowpass_filter(6 * down, 4.0, 8.0, 16.0 * down, is_radial).double()
    torch.manual_seed(0)
    x = torch.randn(2, 3, 11, 11, dtype=torch.double, requires_grad=True)
    bias = torch.randn(3, dtype=torch.double, requires_grad=True)
    ours = filtered_leaky_relu(x, bias, up_filter, down_filter, rates)
    theirs = filtered_step_by_step(x, bias, up_filter, down_filter, rates)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    towards = torch.randn_like(ours)
    for mine, want in zip(*(torch.autograd.grad(y, (x, bias), towards) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(mine, want, rtol=0, atol=1e-12)


def test_gathering_is_the_transpose_of_spreading() -> None:
    kernel = torch.rand(12, dtype=torch.double)
    kernel = kernel + kernel.flip(0)
    x = torch.randn(1, 2, 7, 7, dtype=torch.double)
    spread_x = spread(x, kernel, 2, 3, 1.5)
    y = torch.randn_like(spread_x)
    torch.testing.assert_close((spread_x * y).sum(), (x * gather(y, kernel, 2, 3, 1.5)).sum())


def test_a_byte_a_pixel_is_kept_at_the_higher_rate() -> None:
    kept: list[Tensor] = []
    rates = Rates(2, 2, 20, 256.0)
    taps = lowpass_filter(12, 4.0, 8.0, 32.0)
    x = torch.randn(1, 4, 22, 22, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):  # type: ignore
        filtered_leaky_relu(x, torch.zeros(4), taps, taps, rates)
    higher = 19 * 2 + 12
    assert sorted((t.dtype, t.numel()) for t in kept if t.ndim == 4) == [(torch.int8, 4 * higher**2)]


def test_a_turned_input_turns_the_picture_of_r_and_not_of_t() -> None:
    """Every operation of R commutes with a quarter turn; the 3x3 convolutions of T do not."""
    for config, is_equivariant in (
        (TINY3.model_copy(update={"conv_kernel": 1, "use_radial_filters": True}), True),
        (TINY3, False),
    ):
        torch.manual_seed(0)
        generator = StyleGAN3(config).requires_grad_(False)
        ws = draw_ws(2, generator, seeded_rng(0))
        upright = generator.synthesis(ws)
        generator.synthesis.input.transform[:2, :2] = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
        turned = generator.synthesis(ws)
        assert torch.allclose(turned, upright.rot90(-1, (2, 3)), rtol=0, atol=1e-5) == is_equivariant


def test_wrong_latents_and_noise_are_refused() -> None:
    generator = tiny_stylegan3()
    with pytest.raises(ShapeError, match=r"ws: expected \[N, 6, 8\], got \[1, 5, 8\]"):
        generator.synthesis(torch.zeros(1, 5, 8))
    with pytest.raises(ShapeError, match="noise: expected no maps, got 1; draw them with draw_noise"):
        generator.synthesis(torch.zeros(1, 6, 8), noise=(torch.zeros(1, 1, 4, 4),))
    assert generator.draw_noise(2, seeded_rng(0)) == ()
