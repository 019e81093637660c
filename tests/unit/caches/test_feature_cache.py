"""Features of references are computed once, and again whenever the kept ones cannot be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nada.judge import Judge, SetFeatures
from nada.picture_files import read_images
from tasks.caches import feature_cache
from tasks.caches.feature_cache import kept_features, reference_features
from tasks.config.project import Project

NUM, RESOLUTION = 5, 8


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
    project = Project(tmp_path)
    monkeypatch.setattr(feature_cache, "HERE", project)
    return project.feature_cache


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    """A folder of small pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (NUM, RESOLUTION, RESOLUTION, 3), dtype=np.uint8)
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{index}.png")
    return str(folder)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The sets that were read, one entry each time."""
    read: list[Path] = []

    def reading(path: Path, resolution: int) -> Tensor:
        read.append(path)
        return read_images(path, resolution)

    monkeypatch.setattr(feature_cache, "read_images", reading)
    return read


def kept(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def features(clip: CountingClip, pictures: str, resolution: int = RESOLUTION) -> SetFeatures:
    return reference_features(pictures, Judge(clip=clip), resolution)


def test_the_same_pictures_are_opened_and_embedded_once(cache: Path, pictures: str, opened: list[Path]) -> None:
    clip = CountingClip()
    first, second = (features(clip, pictures) for _ in range(2))
    assert clip.calls == 1 and opened == [Path(pictures)]
    assert np.array_equal(first.emb, second.emb) and np.array_equal(first.structure, second.structure)
    assert [path.suffix for path in kept(cache)] == [".npz"] * 3


def test_kept_features_are_those_of_the_pictures_themselves(pictures: str) -> None:
    features(CountingClip(), pictures)
    known = kept_features(pictures, Judge(clip=CountingClip()), RESOLUTION)
    true = Judge(clip=CountingClip()).features(read_images(Path(pictures), RESOLUTION))
    assert known is not None and np.array_equal(known.emb, true.emb) and np.array_equal(known.structure, true.structure)


def test_a_set_lacking_one_feature_is_not_known_and_computes_that_one_alone(cache: Path, pictures: str) -> None:
    clip = CountingClip()
    assert kept_features(pictures, Judge(clip=clip), RESOLUTION) is None
    true = features(clip, pictures)
    for path in kept(cache):
        with np.load(path) as content:
            if content["features"].shape == true.structure.shape:
                path.unlink()
    assert kept_features(pictures, Judge(clip=clip), RESOLUTION) is None
    assert np.array_equal(features(clip, pictures).structure, true.structure)
    assert clip.calls == 1


@pytest.mark.parametrize("change", ["pixels", "names", "size", "weights", "resizing", "code", "open_clip"])
def test_whatever_decides_the_features_is_in_the_key(
    pictures: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, resolution = CountingClip(), RESOLUTION
    features(clip, pictures)
    if change == "pixels":
        Image.new("RGB", (RESOLUTION, RESOLUTION)).save(Path(pictures, "0.png"))
    elif change == "names":
        Path(pictures, "0.png").rename(Path(pictures, "9.png"))
    elif change == "size":
        resolution = 4
    elif change == "code":
        monkeypatch.setattr(feature_cache, "evaluation_code", lambda: "other code")
    elif change == "open_clip":
        monkeypatch.setattr(feature_cache, "open_clip_version", lambda: "9.9")
    elif change == "weights":
        clip.fingerprint = "1" * 64  # type: ignore[misc]
    else:
        clip.resizing = "bicubic"  # type: ignore[misc]
    again = features(clip, pictures, resolution)
    assert clip.calls == 2
    assert np.array_equal(again.emb, Judge(clip=CountingClip()).features(read_images(Path(pictures), resolution)).emb)


def test_pictures_that_change_while_they_are_read_are_not_kept(
    cache: Path, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(path: Path, resolution: int) -> Tensor:
        img_u8 = read_images(path, resolution)
        (path / "0.png").unlink()
        return img_u8

    monkeypatch.setattr(feature_cache, "read_images", replaced)
    assert len(features(CountingClip(), pictures)) == NUM
    assert not cache.exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "pickled", "foreign", "short", "nan"])
def test_a_damaged_cache_is_computed_again_and_mended(cache: Path, pictures: str, damage: str) -> None:
    clip = CountingClip()
    true = features(clip, pictures)
    for path in kept(cache):
        with np.load(path) as content:
            array, sha256 = content["features"], content["sha256"]
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:200])
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "pickled":
            np.savez(path, features=np.array([{}], dtype=object), sha256=sha256, allow_pickle=True)
        elif damage == "foreign":
            np.savez(path, features=array + 1, sha256=sha256)
        elif damage == "short":
            np.savez(path, features=array[:3], sha256=sha256)
        else:
            np.savez(path, features=array * np.nan, sha256=sha256)
    mended = features(clip, pictures)
    assert clip.calls == 2
    assert np.array_equal(mended.emb, true.emb) and np.array_equal(mended.structure, true.structure)
    features(clip, pictures)
    assert clip.calls == 2


def test_a_cache_that_cannot_be_written_costs_only_time(cache: Path, pictures: str) -> None:
    cache.parent.mkdir()
    cache.write_bytes(b"a file where the folder would be")
    clip = CountingClip()
    assert len(features(clip, pictures)) == NUM
    assert len(features(clip, pictures)) == NUM
    assert clip.calls == 2
