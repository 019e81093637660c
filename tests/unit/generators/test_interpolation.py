"""Between generators: weights that mix, walks that close."""

from __future__ import annotations

import copy

import pytest
import torch

from nada.errors import ShapeError
from nada.generators.interpolation import mix_into
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from nada.latent_walks import closed_walk, round_trip
from tests.conftest import TINY, tiny_generator


def mixed(source: StyleGAN2, *parts: tuple[StyleGAN2, float]) -> dict[str, torch.Tensor]:
    target = copy.deepcopy(source)
    mix_into(target, source, parts)
    return target.state_dict()


def test_a_whole_share_of_one_domain_is_that_domain() -> None:
    source, part = tiny_generator(0), tiny_generator(1)
    result = mixed(source, (part, 1.0))
    assert all(torch.allclose(result[name], value, atol=1e-6) for name, value in part.state_dict().items())


def test_no_share_is_the_source_itself() -> None:
    source = tiny_generator(0)
    assert all(
        torch.equal(value, mixed(source, (tiny_generator(1), 0.0))[name]) for name, value in source.state_dict().items()
    )


def test_shares_add_up_from_the_source() -> None:
    source, one, two = (tiny_generator(seed) for seed in range(3))
    name = "synthesis.b8.conv0.weight"
    before, first, second = (part.state_dict()[name] for part in (source, one, two))
    expected = before + 0.6 * (first - before) - 0.2 * (second - before)
    assert torch.allclose(mixed(source, (one, 0.6), (two, -0.2))[name], expected, atol=1e-6)


def test_other_architectures_do_not_mix() -> None:
    other = StyleGAN2(StyleGAN2Config(**{**TINY.model_dump(), "resolution": 8}))
    with pytest.raises(ShapeError, match="different architectures"):
        mixed(tiny_generator(), (other, 0.5))


def test_a_walk_passes_its_keys_and_closes_without_a_seam() -> None:
    keys = torch.randn(5, 4, 8, generator=torch.Generator().manual_seed(0))
    walk = closed_walk(keys, 500)
    assert torch.allclose(walk[::100], keys, atol=1e-6)
    steps = (torch.cat([walk, walk[:2]]).diff(dim=0)).norm(dim=(1, 2))
    assert steps[499] < 1.05 * steps[498] and steps[499] > 0.95 * steps[498]


@pytest.mark.parametrize(("num_keys", "num_frames"), [(2, 50), (5, 4)])
def test_walks_without_room_are_refused(num_keys: int, num_frames: int) -> None:
    with pytest.raises(ShapeError, match="walk: "):
        closed_walk(torch.zeros(num_keys, 4, 8), num_frames)


def test_a_round_trip_rests_at_every_station_and_ends_near_the_first() -> None:
    trip = round_trip(3, 300)
    assert [trip[frame] for frame in (0, 100, 200)] == [(0, 1, 0.0), (1, 2, 0.0), (2, 0, 0.0)]
    assert trip[-1][:2] == (2, 0) and trip[-1][2] > 0.99
    assert all(0 <= share <= 1 for _, _, share in trip)
