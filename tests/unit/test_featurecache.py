"""Features of references are computed once, and again whenever the kept ones cannot be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nada.judge import Judge
from tasks import featurecache
from tasks.featurecache import cached_features

IMG_U8 = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class CountingClip:
    """Embeds by mean colour, and counts how often."""

    name, fingerprint, resizing = "Fake", "0" * 64, "none"

    def __init__(self) -> None:
        self.calls = 0

    def embed_images(self, img: Tensor) -> Tensor:
        self.calls += 1
        return torch.nn.functional.normalize(img.mean(dim=(2, 3)))

    def class_embedding(self, prompt: str) -> Tensor:
        raise NotImplementedError

    def text_direction(self, source: str, target: str) -> Tensor:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(featurecache, "CACHE_DIR", tmp_path / "cache")
    return tmp_path / "cache"


def kept(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def test_the_same_images_are_embedded_once(cache: Path) -> None:
    clip = CountingClip()
    first, second = (cached_features(Judge(clip=clip), IMG_U8) for _ in range(2))
    assert clip.calls == 1
    assert np.array_equal(first.emb, second.emb) and np.array_equal(first.structure, second.structure)
    assert [path.suffix for path in kept(cache)] == [".npz", ".npz"]


@pytest.mark.parametrize("change", ["pixels", "order", "weights", "resizing"])
def test_whatever_decides_the_features_is_in_the_key(change: str) -> None:
    clip, img_u8 = CountingClip(), IMG_U8.clone()
    cached_features(Judge(clip=clip), img_u8)
    if change == "pixels":
        img_u8[0, 0, 0, 0] ^= 1
    elif change == "order":
        img_u8 = img_u8.flip(0)
    elif change == "weights":
        clip.fingerprint = "1" * 64  # type: ignore[misc]
    else:
        clip.resizing = "bicubic"  # type: ignore[misc]
    again = cached_features(Judge(clip=clip), img_u8)
    assert clip.calls == 2
    assert np.array_equal(again.emb, Judge(clip=CountingClip()).features(img_u8).emb)


def test_images_that_differ_only_in_shape_are_others() -> None:
    clip = CountingClip()
    cached_features(Judge(clip=clip), IMG_U8)
    cached_features(Judge(clip=clip), IMG_U8.reshape(5, 3, 4, 16))
    assert clip.calls == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "pickled", "foreign", "short", "nan"])
def test_a_damaged_cache_is_computed_again_and_mended(cache: Path, damage: str) -> None:
    clip = CountingClip()
    true = cached_features(Judge(clip=clip), IMG_U8)
    for path in kept(cache):
        with np.load(path) as content:
            features, identity = content["features"], content["identity"]
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:200])
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "pickled":
            np.savez(path, features=np.array([{}], dtype=object), identity=identity, allow_pickle=True)
        elif damage == "foreign":
            np.savez(path, features=features, identity=np.array("another network"))
        elif damage == "short":
            np.savez(path, features=features[:3], identity=identity)
        else:
            np.savez(path, features=features * np.nan, identity=identity)
    mended = cached_features(Judge(clip=clip), IMG_U8)
    assert clip.calls == 2
    assert np.array_equal(mended.emb, true.emb) and np.array_equal(mended.structure, true.structure)
    cached_features(Judge(clip=clip), IMG_U8)
    assert clip.calls == 2


def test_a_cache_that_cannot_be_written_costs_only_time(cache: Path) -> None:
    cache.write_bytes(b"a file where the folder would be")
    clip = CountingClip()
    assert len(cached_features(Judge(clip=clip), IMG_U8)) == 5
    assert len(cached_features(Judge(clip=clip), IMG_U8)) == 5
    assert clip.calls == 2
