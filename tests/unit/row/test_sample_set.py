"""The pictures of a generator that are judged and shown come out the same, whether or not their features are known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.caches import feature_cache
from tasks.config.project import Project
from tasks.row import sample_set as sample_set_module
from tasks.row.sample_set import SampleSet, sample_set


class Sociable:
    """Draws pictures that depend on the company in which they are drawn, as those of a real one do in the last bits."""

    resolution = 4

    def synthesis(self, ws: Tensor, noise: str) -> Tensor:
        places = ws[:, 0, 0]
        levels = (3 * places + 5 * places[0] + 7 * len(places)) % 256
        return (levels / 127.5 - 1)[:, None, None, None].expand(-1, 3, 4, 4)


class Judge:
    """Two networks that take the mean."""

    def extractors(self) -> dict[str, Any]:
        def mean(img_u8: Tensor) -> NDArray[np.float64]:
            return np.asarray(img_u8.double().mean(dim=(2, 3)).numpy())

        return {name: SimpleNamespace(identity=name, run=mean) for name in ("emb", "structure", "colour")}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "HERE", Project(tmp_path))


def see(
    num_images: int = 10, count: int = 6, psi: float = 0.7, identity: str = "it", family: str = "stylegan2"
) -> SampleSet:
    """Of groups of four."""
    params = SimpleNamespace(
        judge=SimpleNamespace(num_images=num_images, batch_size=4),
        samples=SimpleNamespace(count=count, truncation_psi=psi),
    )
    ws = torch.arange(float(max(num_images, count)))[:, None, None]
    warm = SimpleNamespace(params=params, ws=ws, judge=Judge(), family_module=f"nada.generators.{family}")
    return sample_set(Sociable(), identity, warm, warm.params.samples.count)  # type: ignore[arg-type]


@pytest.mark.parametrize(("num_images", "count"), [(10, 6), (10, 4), (10, 1), (10, 10), (3, 10), (8, 12)])
def test_pictures_are_the_same_when_their_features_are_known(num_images: int, count: int) -> None:
    first, again = see(num_images, count), see(num_images, count)
    assert again.num_rendered <= -(-count // 4) * 4
    assert torch.equal(first.pictures, again.pictures)
    assert first.pictures.shape == (count, 3, 4, 4)
    assert np.array_equal(first.features.emb, again.features.emb)


def test_each_picture_is_rendered_once() -> None:
    assert see().num_rendered == 10


def test_more_pictures_render_the_new_ones_and_the_shown_ones_alone(tmp_path: Path) -> None:
    see(num_images=8, count=4)
    more = see(num_images=16, count=4)
    assert more.num_rendered == 8 + 4
    for path in (tmp_path / ".cache" / "features").iterdir():
        path.unlink()
    one_go = see(num_images=16, count=4)
    assert one_go.num_rendered == 16
    assert np.array_equal(more.features.emb, one_go.features.emb)
    assert torch.equal(more.pictures, one_go.pictures)


@pytest.mark.parametrize(
    "change", [{"psi": 0.7000001}, {"psi": 0.70000001}, {"identity": "another"}, {"family": "stylegan3"}]
)
def test_other_pictures_are_rendered_by_themselves(change: dict[str, Any]) -> None:
    see()
    assert see(**change).num_rendered == 10


def test_an_edit_of_the_familys_code_renders_them_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    see()
    monkeypatch.setattr(sample_set_module, "evaluation_code", lambda family: f"{family}, edited")
    assert see().num_rendered == 10
