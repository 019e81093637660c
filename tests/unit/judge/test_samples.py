"""The latents of a set come out the same, however many are asked for; pictures are drawn a megapixel at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from nada.judge.samples import DRAWN_TOGETHER, fixed_latents, render
from tasks.row.sample_set import rendered_together


class Unmapped:
    """Its latents are what was drawn."""

    def __init__(self, z_dim: int) -> None:
        self.z_dim = z_dim

    def parameters(self) -> Iterator[Tensor]:
        yield torch.zeros(1)

    def mapping(self, z: Tensor, truncation_psi: float) -> Tensor:
        return z[:, None]


@pytest.mark.parametrize("z_dim", [1, 2, 3, 5, 8, 31, 33, 511, 512])
def test_fewer_latents_begin_as_more_do(z_dim: int) -> None:
    drawn = Unmapped(z_dim)
    most = fixed_latents(drawn, 100, 0.7)  # type: ignore[arg-type]
    for count in (1, 2, 3, 7, 15, 16, 17, 33, 99):
        assert torch.equal(fixed_latents(drawn, count, 0.7), most[:count]), count  # type: ignore[arg-type]


def generator_of(z_dim: int) -> StyleGAN2:
    torch.manual_seed(0)
    config = StyleGAN2Config(z_dim=z_dim, w_dim=z_dim, resolution=8, channel_base=64, channel_max=8, mapping_layers=8)
    return StyleGAN2(config).eval().requires_grad_(False)


@pytest.mark.parametrize("z_dim", [1, 3, 5, 8, 31, 33, 512])
def test_whole_groups_of_latents_are_mapped_to_the_same_bits_in_any_number(z_dim: int) -> None:
    generator = generator_of(z_dim)
    most = fixed_latents(generator, 8 * DRAWN_TOGETHER, 0.7)
    assert most.shape == (8 * DRAWN_TOGETHER, generator.num_ws, z_dim)
    for count in (DRAWN_TOGETHER, 2 * DRAWN_TOGETHER, 7 * DRAWN_TOGETHER):
        assert torch.equal(fixed_latents(generator, count, 0.7), most[:count]), count


def test_another_seed_and_another_truncation_are_other_latents() -> None:
    generator = generator_of(8)
    generator.mapping.w_avg.fill_(0.5)
    first = fixed_latents(generator, 4, 0.7)
    assert torch.equal(first, fixed_latents(generator, 4, 0.7))
    assert not torch.equal(first, fixed_latents(generator, 4, 0.7, seed=1))
    assert not torch.equal(first, fixed_latents(generator, 4, 0.8))


class Huge:
    """Draws nothing, in many pixels."""

    def __init__(self, resolution: int) -> None:
        self.resolution = resolution

    def synthesis(self, ws: Tensor, noise: str) -> Tensor:
        return ws[:, :1, :1, None].expand(-1, 3, 1, 1)


@pytest.mark.parametrize(
    ("resolution", "batch_size", "together"), [(64, 50, 50), (256, 50, 16), (512, 50, 4), (1024, 50, 1), (2048, 50, 1)]
)
def test_no_more_than_a_batch_and_a_megapixel_are_rendered_at_once(
    resolution: int, batch_size: int, together: int
) -> None:
    huge, ws = Huge(resolution), torch.zeros(2 * together + 1, 2, 8)
    batches = [len(img_u8) for img_u8 in render(huge, ws, batch_size)]  # type: ignore[arg-type]
    assert batches == [together, together, 1]
    assert rendered_together(resolution, batch_size) == together
