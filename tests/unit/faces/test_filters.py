"""Styles as functions of a photograph, and pictures that come near them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from nada.judge.samples import fixed_latents, render
from nada.picture_files import read_images
from tests.conftest import tiny_generator

Script = Callable[[str], ModuleType]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photos(num: int = 2, side: int = 32) -> Tensor:
    """Smooth pictures [N, 3, H, W] in [0, 1]."""
    coarse = torch.rand(num, 3, 4, 4, generator=rng())
    return torch.nn.functional.interpolate(coarse, size=side, mode="bilinear")


def test_every_filter_makes_pictures_that_are_others_and_the_same_for_a_seed(script: Script) -> None:
    filters, img = script("filters"), photos()
    for name in filters.FILTERS:
        made = filters.apply(name, img, rng(1))
        assert made.shape == img.shape and made.isfinite().all() and 0 <= made.min() <= made.max() <= 1, name
        assert (made - img).abs().mean() > 0.02, name
        assert torch.equal(made, filters.apply(name, img, rng(1))), name


def test_without_jitter_a_style_without_grain_has_one_true_version(script: Script) -> None:
    filters, img = script("filters"), photos()
    for name in ("sepia", "bw", "pencil", "cartoon", "neon"):
        assert torch.equal(filters.apply(name, img, rng(1)), filters.apply(name, img, rng(2))), name
        assert not torch.equal(filters.apply(name, img, rng(1), 1), filters.apply(name, img, rng(2), 1)), name


def test_every_domain_has_a_filter_of_its_own_and_captions(script: Script) -> None:
    domains, filters, captions = script("domains"), script("filters"), script("captions")
    assert sorted(domain.style for domain in domains.DOMAINS) == sorted(filters.FILTERS)
    assert len({domain.slug for domain in domains.DOMAINS}) == len(filters.FILTERS)
    for domain in domains.DOMAINS:
        assert domain.target in captions.WORDS[domain.style], domain.slug
    assert set(captions.WORDS) == {"photo", *filters.FILTERS}
    known = {word for words in captions.WORDS.values() for word in words}
    assert not known & {word for words in captions.HELD_OUT.values() for word in words}


def test_closeness_is_the_share_of_the_way_and_falls_beyond_it(script: Script) -> None:
    closeness = script("near_misses").closeness
    source = photos() * 2 - 1
    source += 0.1 * torch.randn(source.shape, generator=rng())
    truth = 0.7 * source
    for share, expected in ((0, 0), (1, 1), (2, 0), (3, -0.2), (0.5, 0.5)):
        found = closeness(source + share * (truth - source), source, truth)
        assert torch.allclose(found, torch.full((2,), float(expected)), atol=0.02), share


def test_every_kind_of_near_miss_is_neither_source_nor_truth_and_repeats(script: Script) -> None:
    near_misses, source = script("near_misses"), photos() * 2 - 1
    truth = script("filters").apply("pencil", photos(), rng()) * 2 - 1
    for kind in dict.fromkeys(near_misses.KINDS):
        made = near_misses.near_miss(source, truth, kind, rng(3))
        assert made.shape == source.shape and made.isfinite().all(), kind
        assert min((made - other).abs().mean() for other in (source, truth)) > 1e-3, kind
        assert torch.equal(made, near_misses.near_miss(source, truth, kind, rng(3))), kind
    with pytest.raises(KeyError):
        near_misses.near_miss(source, truth, "nothing", rng())


def test_references_are_paired_with_the_generators_pictures_by_name(script: Script, tmp_path: Path) -> None:
    make_references, source = script("make_references"), tiny_generator()
    ws = fixed_latents(source, 3, 0.7, seed=5)
    styles = [("negative", "negative"), ("sepia-photo", "sepia")]
    paths = make_references.write_references(source, ws, styles, tmp_path)
    assert [path.name for path in paths] == ["negative.zip", "sepia-photo.zip"]
    assert zipfile.ZipFile(paths[0]).namelist() == ["000.png", "001.png", "002.png"]
    img_u8 = torch.cat(list(render(source, ws, 16)))
    assert (read_images(paths[0], 16).int() - (255 - img_u8.int())).abs().max() <= 1
    before = [path.read_bytes() for path in paths]
    make_references.write_references(source, ws, styles, tmp_path)
    assert [path.read_bytes() for path in paths] == before
