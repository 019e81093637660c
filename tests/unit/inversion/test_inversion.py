"""The inversion of a picture: its losses by hand, its schedule, and a picture of the generator's own found again."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nada.clip.guide import Guide
from nada.errors import NonFiniteLossError
from nada.generators.light.generator import LightGenerator
from nada.generators.light.moves import StyleMoves
from nada.generators.registry import Network
from nada.images import to_u8
from nada.inversion import perceptual
from nada.inversion.config import InversionConfig
from nada.inversion.inversion import Inversion, noise_correlation, w_statistics
from nada.inversion.perceptual import ClipFeatures, LpipsFeatures, distance, pyramid
from nada.inversion.tower import tower_levels
from nada.judge.spaces.lpips import VGG_INDICES, VGG_STAGES, Lpips
from nada.latents import draw_ws, seeded_rng
from nada.ramps import ramped
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3


class Pixels:
    name = "pixels"

    def features(self, img: Tensor) -> Tensor:
        return img.flatten(1) / math.sqrt(img[0].numel())


def own_picture(seed: int, generator: Network | None = None) -> Tensor:
    generator = generator or tiny_generator()
    return to_u8(generator.synthesis(draw_ws(1, generator, seeded_rng(seed))))


def test_the_rate_rises_rests_and_falls() -> None:
    assert ramped(0, 1000) == 0
    assert ramped(25, 1000) == 0.5
    assert ramped(50, 1000) == ramped(750, 1000) == 1
    assert ramped(875, 1000) == pytest.approx(0.5)
    assert ramped(999, 1000) < 1e-4


def test_the_pyramid_is_the_mean_of_the_mean_squared_differences_of_all_sizes() -> None:
    one, two = torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    two[:, :, ::2, ::2] = 4.0  # a quarter of the pixels: 16 / 4 at 16 px; each mean of four is 1: 1 at 8 px
    features = [torch.cat(list(pyramid(img)), dim=1) for img in (one, two)]
    assert distance(features[0], features[1]).item() == pytest.approx((4 + 1) / 2)


def test_lpips_as_a_loss_is_lpips_as_the_judge_computes_it() -> None:
    torch.manual_seed(0)
    vgg, before = {}, 3
    for place, width in zip(VGG_INDICES, [width for stage in VGG_STAGES for width in stage], strict=True):
        vgg[f"features.{place}.weight"] = torch.randn(width, before, 3, 3) / math.sqrt(9 * before)
        vgg[f"features.{place}.bias"] = torch.zeros(width)
        before = width
    heads = {f"lin{i}.model.1.weight": torch.rand(1, stage[-1], 1, 1) for i, stage in enumerate(VGG_STAGES)}
    lpips = Lpips(vgg, heads, "f" * 64)
    img_u8 = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=seeded_rng(1))
    loss, img = LpipsFeatures(lpips), img_u8 / 127.5 - 1
    apart = distance(loss.features(img[:1]), loss.features(img[1:]))
    assert apart.item() == pytest.approx(lpips.distances(img_u8.numpy())[0, 1], rel=1e-4)
    assert loss.name == "LPIPS-VGG16@ffffffffffff at 256 px"


def test_large_pictures_are_compared_at_256_px(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual, "LPIPS_LOSS_PX", 8)
    seen: list[Tensor] = []

    class Seeing(nn.Module):
        stages = [lambda x: seen.append(x) or x]  # noqa: RUF012
        heads = [torch.ones(3)]  # noqa: RUF012
        name = "seeing"

    LpipsFeatures(Seeing()).features(torch.zeros(1, 3, 16, 16))  # type: ignore[arg-type]
    assert seen[0].shape == (1, 3, 8, 8)


def test_a_clips_tower_is_read_at_its_blocks_and_sees_what_is_seen(tiny_guide: Guide) -> None:
    clip = tiny_guide.models[0]
    loss = ClipFeatures(clip)
    assert len(loss.levels) == 1
    img = torch.rand(2, 3, 16, 16, generator=seeded_rng(0)) * 2 - 1
    img.requires_grad_()
    features = loss.features(img)
    tokens = 1 + (16 // 8) ** 2
    assert features.shape == (2, tokens * 32 + 3 * 16 * 16 + 3 * 8 * 8)
    of_tower = features[:, : tokens * 32]
    assert torch.allclose(of_tower.square().sum(dim=1), torch.ones(2), atol=1e-5)  # unit vectors, their mean
    distance(features[:1], features[1:].detach()).backward()  # type: ignore[no-untyped-call]
    assert img.grad is not None and img.grad[0].abs().sum() > 0
    assert not clip.visual.transformer.resblocks[0]._forward_hooks  # type: ignore[union-attr, index]
    assert loss.name.startswith("tiny-guide@") and "1 levels of its image tower at 16 px" in loss.name


@pytest.mark.parametrize(("count", "chosen"), [(2, [0, 1]), (4, [0, 1, 2, 3]), (12, [2, 5, 8, 11])])
def test_levels_are_spread_over_the_tower_and_end_with_its_last(count: int, chosen: list[int]) -> None:
    tower = nn.Module()
    tower.trunk = nn.Module()
    tower.trunk.blocks = nn.Sequential(*(nn.Identity() for _ in range(count)))
    assert [list(tower.trunk.blocks).index(level) for level in tower_levels(tower)] == chosen  # type: ignore[arg-type]
    assert tower_levels(nn.Module()) == []


def test_noise_that_repeats_is_correlated_and_white_noise_hardly() -> None:
    white = torch.randn(1, 1, 16, 16, generator=seeded_rng(0))
    rows = white[:, :, :1].expand(1, 1, 16, 16)  # every row as the first: its shift down is itself
    assert noise_correlation([white]) < 0.1
    assert noise_correlation([rows]) > 0.5
    signs = torch.tensor([1.0, -1.0]).repeat(1, 1, 8, 4)  # columns of 1 and -1, 8 px: the mean product is -1, and 1
    assert noise_correlation([signs]).item() == pytest.approx(2.0)


def test_the_statistics_of_w_are_those_of_its_samples() -> None:
    generator = tiny_generator()
    mean, spread = w_statistics(generator, seeded_rng(0))
    w = draw_ws(5000, generator, seeded_rng(9))[:, 0]
    assert torch.allclose(mean, w.mean(dim=0), atol=0.05)
    assert spread == pytest.approx(float((w - mean).norm(dim=1).square().mean().sqrt()), rel=0.05)


def test_a_picture_of_the_generators_own_is_found_again() -> None:
    generator = tiny_mobilestylegan()
    inversion = Inversion(generator, Pixels(), own_picture(3, generator), InversionConfig(w_steps=60, plus_steps=60))
    before = inversion.result()
    steps = list(inversion)
    after = inversion.result()
    assert [(step.index, step.space) for step in steps[58:62]] == [(58, "w"), (59, "w"), (60, "w+"), (61, "w+")]
    assert after.levels < before.levels / 3
    assert after.ws.shape == (generator.num_ws, generator.w_dim)
    assert len(after.ws.unique(dim=0)) > 1  # in W+ each layer has its own


def test_without_steps_in_w_plus_all_layers_share_one_w_and_the_same_seed_gives_the_same() -> None:
    def run(seed: int) -> Tensor:
        config = InversionConfig(w_steps=5, plus_steps=0, seed=seed)
        inversion = Inversion(tiny_stylegan3(), Pixels(), own_picture(3), config)
        assert inversion.maps == []  # of a family whose noise does not change
        assert len(list(inversion)) == 5
        return inversion.result().ws

    first = run(0)
    assert len(first.unique(dim=0)) == 1
    assert torch.equal(first, run(0))
    assert not torch.equal(first, run(1))


def test_noise_maps_stay_noise() -> None:
    inversion = Inversion(tiny_generator(), Pixels(), own_picture(3), InversionConfig(w_steps=8, plus_steps=0))
    list(inversion)
    assert len(inversion.maps) == 5
    for noise in inversion.maps:
        assert noise.mean().item() == pytest.approx(0, abs=1e-5)
        assert noise.square().mean().item() == pytest.approx(1, abs=1e-4)


def test_a_domain_in_kilobytes_has_the_noise_of_its_base() -> None:
    base = tiny_generator()
    light, shift = LightGenerator(base, StyleMoves()), StyleMoves(offset={"b8.conv1": torch.full((16,), 0.5)})
    config = InversionConfig(w_steps=4, plus_steps=2)
    runs = [Inversion(domain, Pixels(), own_picture(3), config) for domain in (base, light)]
    for run in runs:
        list(run)
    assert torch.equal(runs[0].result().ws, runs[1].result().ws)
    assert len(Inversion(LightGenerator(base, shift), Pixels(), own_picture(3), config).maps) == 5


def test_a_distance_that_is_no_number_ends_it() -> None:
    class Broken(Pixels):
        def features(self, img: Tensor) -> Tensor:
            return F.normalize(img.flatten(1)) * math.nan

    with pytest.raises(NonFiniteLossError, match="step 0: the distance to the picture is nan"):
        list(Inversion(tiny_generator(), Broken(), own_picture(3), InversionConfig()))
