"""Features of a generator's samples: more of them cost the new ones alone, and come out as if made in one go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.caches import cache_size, feature_cache
from tasks.caches.feature_cache import sample_features
from tasks.config.project import Project

TOGETHER = 4


@dataclass
class Extractor:
    """Sums up a picture, and keeps which ones it saw; as of a real one, the company of a picture decides a little."""

    identity: str
    seen: list[int] = field(default_factory=list)

    def run(self, img_u8: Tensor) -> NDArray[np.float64]:
        places = img_u8[:, 0, 0, 0].tolist()
        self.seen += places
        return np.asarray([[place, places[0] + 0.1 * len(places)] for place in places], dtype=np.float64)


class Judge:
    """Extractors of these names."""

    def __init__(self, *names: str) -> None:
        self.found = {name: Extractor(f"{name} 1") for name in names}

    def extractors(self) -> dict[str, Extractor]:
        return self.found


class Studio:
    """Renders sample i as a picture of i, in groups, and keeps which ones it rendered."""

    def __init__(self) -> None:
        self.rendered: list[int] = []

    def pictures(self, start: int, end: int) -> Iterator[Tensor]:
        for first in range(start, end, TOGETHER):
            places = torch.arange(first, min(first + TOGETHER, end), dtype=torch.uint8)
            self.rendered += places.tolist()
            yield places[:, None, None, None].expand(-1, 3, 2, 2)


@dataclass
class Outcome:
    """What one asking cost, and gave."""

    arrays: dict[str, NDArray[np.float64]]
    rendered: list[int]
    embedded: dict[str, list[int]]


def ask(count: int, *names: str, about: str = "a generator") -> Outcome:
    judge, studio = Judge(*(names or ("emb", "structure", "colour"))), Studio()
    features = sample_features(about, judge, count, TOGETHER, studio.pictures)  # type: ignore[arg-type]
    arrays = {name: getattr(features, name) for name in judge.found}
    return Outcome(arrays, studio.rendered, {name: extractor.seen for name, extractor in judge.found.items()})


def are_equal(first: Outcome, second: Outcome) -> bool:
    return first.arrays.keys() == second.arrays.keys() and all(
        np.array_equal(first.arrays[name], second.arrays[name]) for name in first.arrays
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = Project(tmp_path)
    for module in (feature_cache, cache_size):
        monkeypatch.setattr(module, "HERE", project)
    return project.feature_cache


def empty(cache: Path) -> None:
    for path in cache.iterdir():
        path.unlink()


@pytest.mark.parametrize(("fewer", "more"), [(8, 16), (1, 2), (6, 12), (9, 10), (4, 15)])
def test_more_samples_render_and_embed_the_new_ones_alone_and_come_out_as_in_one_go(
    cache: Path, fewer: int, more: int
) -> None:
    one_go = ask(more)
    empty(cache)
    ask(fewer)
    rest = ask(more)
    new = list(range(fewer // TOGETHER * TOGETHER, more))  # an unfinished group is done again, in its final company
    assert rest.rendered == rest.embedded["emb"] == rest.embedded["structure"] == new
    assert are_equal(rest, one_go)


def test_as_many_or_fewer_samples_cost_nothing_and_lose_nothing(cache: Path) -> None:
    first = ask(8)
    for count in (8, 3, 8):
        again = ask(count)
        assert (again.rendered, again.embedded) == ([], {"emb": [], "structure": [], "colour": []})
        assert np.array_equal(again.arrays["emb"], first.arrays["emb"][:count])


def test_a_further_network_renders_each_picture_once_and_embeds_for_itself_alone(cache: Path) -> None:
    ask(8)
    both = ask(8, "emb", "structure", "colour", "inception")
    assert both.rendered == list(range(8))
    assert both.embedded == {"emb": [], "structure": [], "colour": [], "inception": list(range(8))}
    more = ask(16, "emb", "structure", "colour", "inception", "small_u8")
    assert more.rendered == list(range(16))
    new = list(range(8, 16))
    assert more.embedded == {"emb": new, "structure": new, "colour": new, "inception": new, "small_u8": list(range(16))}
    empty(cache)
    assert are_equal(more, ask(16, "emb", "structure", "colour", "inception", "small_u8"))


def test_other_pictures_or_another_network_are_computed_by_themselves(cache: Path) -> None:
    ask(4)
    assert ask(4, about="another generator").rendered == [0, 1, 2, 3]
    judge, studio = Judge("emb", "structure", "colour"), Studio()
    judge.found["emb"].identity = "emb 2"
    sample_features("a generator", judge, 4, TOGETHER, studio.pictures)  # type: ignore[arg-type]
    assert studio.rendered == judge.found["emb"].seen == [0, 1, 2, 3]
    assert judge.found["structure"].seen == []


def test_a_damaged_file_is_computed_again_and_mended(cache: Path) -> None:
    true = ask(8)
    damaged = max(cache.iterdir())
    damaged.write_bytes(damaged.read_bytes()[:100])
    again = ask(8)
    assert again.rendered == list(range(8))
    assert sorted(map(len, again.embedded.values())) == [0, 0, 8]
    assert are_equal(again, true)
    assert ask(8).rendered == []


def test_the_folder_is_made_small_again_by_its_oldest_files(cache: Path) -> None:
    ask(4, about="a generator"), ask(4, about="another")
    newest_first = sorted(cache.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for age, path in enumerate(newest_first):
        os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    (cache / "notes.txt").write_text("not ours")
    size = newest_first[0].stat().st_size
    cache_size.prune(2 * size + size // 2)
    assert sorted(cache.glob("*.npz")) == sorted(newest_first[:2])
    assert (cache / "notes.txt").exists()
    cache_size.prune(2 * size)
    assert len(list(cache.glob("*.npz"))) == 2


def test_a_folder_that_is_not_there_needs_no_pruning(cache: Path) -> None:
    cache_size.prune(0)
    assert not cache.exists()
