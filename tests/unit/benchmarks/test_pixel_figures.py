"""How near pictures are to their true ones, on pictures whose figures are known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def measure() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(BENCHMARKS)
        import pixel_figures

        yield pixel_figures
        del sys.modules["pixel_figures"]


def pictures(seed: int) -> Tensor:
    """Greys that are even, so that halves are whole numbers; [2, 3, 24, 24] bytes."""
    rng = torch.Generator().manual_seed(seed)
    return (torch.randint(0, 128, (2, 1, 24, 24), generator=rng) * 2).byte().expand(-1, 3, -1, -1)


def means(measure: ModuleType, source: Tensor, adapted: Tensor, true: Tensor) -> dict[str, float]:
    found: dict[str, float] = measure.pixel_figures(source, adapted, true).means()
    return found


def test_the_truth_itself_has_no_error_and_correlates_with_itself(measure: ModuleType) -> None:
    assert means(measure, pictures(0), pictures(1), pictures(1)) == {
        "paired_error": 0,
        "structural_similarity": pytest.approx(1),
        "lightness_correlation": pytest.approx(1),
        "edge_correlation": pytest.approx(1),
    }


def test_the_untouched_source_has_the_whole_error(measure: ModuleType) -> None:
    assert means(measure, pictures(0), pictures(0), pictures(1))["paired_error"] == 1


def test_half_of_the_way_leaves_half_of_the_error(measure: ModuleType) -> None:
    source, true = pictures(0), pictures(1)
    half = (source.int() + true.int()) // 2
    assert means(measure, source, half.byte(), true)["paired_error"] == pytest.approx(0.5)


def test_twice_the_way_leaves_the_whole_error(measure: ModuleType) -> None:
    source = torch.full((1, 3, 24, 24), 40, dtype=torch.uint8)
    assert means(measure, source, source + 80, source + 40)["paired_error"] == 1


def test_the_paired_error_is_a_share_of_the_pictures_together(measure: ModuleType) -> None:
    source = torch.zeros(2, 3, 24, 24, dtype=torch.uint8)
    true, adapted = source.clone(), source.clone()
    true[0], true[1], adapted[0], adapted[1] = 30, 90, 30, 60
    assert means(measure, source, adapted, true)["paired_error"] == pytest.approx(30 / 120)


def test_the_opposite_has_the_same_edges_and_the_opposite_lightness(measure: ModuleType) -> None:
    found = means(measure, pictures(0), 255 - pictures(1), pictures(1))
    assert found["lightness_correlation"] == pytest.approx(-1)
    assert found["edge_correlation"] == pytest.approx(1)


def test_less_contrast_changes_no_correlation(measure: ModuleType) -> None:
    found = means(measure, pictures(0), pictures(1) // 2 + 30, pictures(1))
    assert found["lightness_correlation"] == pytest.approx(1)
    assert found["edge_correlation"] == pytest.approx(1)
    assert found["structural_similarity"] < 0.9


def test_flat_pictures_have_no_correlation_and_the_similarity_of_their_tones(measure: ModuleType) -> None:
    source = torch.zeros(1, 3, 24, 24, dtype=torch.uint8)
    found = means(measure, source, source + 51, source + 102)  # 0.2 and 0.4
    assert (found["lightness_correlation"], found["edge_correlation"]) == (0, 0)
    assert found["structural_similarity"] == pytest.approx((2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4))


def test_colour_counts_in_the_error_and_in_edges(measure: ModuleType) -> None:
    red, blue = torch.zeros(2, 1, 3, 24, 24, dtype=torch.uint8)
    red[:, 0, :, :12], blue[:, 2, :, :12] = 255, 255
    found = means(measure, torch.zeros_like(red), red, blue)
    assert found["paired_error"] == 2
    assert found["edge_correlation"] == pytest.approx(1)


def test_a_truth_that_is_the_source_is_refused(measure: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"the true pictures are the source's own"):
        means(measure, pictures(0), pictures(1), pictures(0))
