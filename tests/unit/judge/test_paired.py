"""How near pictures are to their true ones, on pictures whose figures are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nada.judge import paired


def pictures(seed: int) -> Tensor:
    """Greys that are even, so that halves are whole numbers; [2, 3, 24, 24] bytes."""
    rng = torch.Generator().manual_seed(seed)
    return (torch.randint(0, 128, (2, 1, 24, 24), generator=rng) * 2).byte().expand(-1, 3, -1, -1)


def means(source: Tensor, adapted: Tensor, true: Tensor) -> dict[str, float]:
    found: dict[str, float] = paired.pixel_figures(source, adapted, true).means()
    return found


def test_the_truth_itself_has_no_error_and_correlates_with_itself() -> None:
    assert means(pictures(0), pictures(1), pictures(1)) == {
        "paired_error": 0,
        "structural_similarity": pytest.approx(1),
        "lightness_correlation": pytest.approx(1),
        "edge_correlation": pytest.approx(1),
    }


def test_the_untouched_source_has_the_whole_error() -> None:
    assert means(pictures(0), pictures(0), pictures(1))["paired_error"] == 1


def test_half_of_the_way_leaves_half_of_the_error() -> None:
    source, true = pictures(0), pictures(1)
    half = (source.int() + true.int()) // 2
    assert means(source, half.byte(), true)["paired_error"] == pytest.approx(0.5)


def test_twice_the_way_leaves_the_whole_error() -> None:
    source = torch.full((1, 3, 24, 24), 40, dtype=torch.uint8)
    assert means(source, source + 80, source + 40)["paired_error"] == 1


def test_the_paired_error_is_a_share_of_the_pictures_together() -> None:
    source = torch.zeros(2, 3, 24, 24, dtype=torch.uint8)
    true, adapted = source.clone(), source.clone()
    true[0], true[1], adapted[0], adapted[1] = 30, 90, 30, 60
    assert means(source, adapted, true)["paired_error"] == pytest.approx(30 / 120)


def test_the_opposite_has_the_same_edges_and_the_opposite_lightness() -> None:
    found = means(pictures(0), 255 - pictures(1), pictures(1))
    assert found["lightness_correlation"] == pytest.approx(-1)
    assert found["edge_correlation"] == pytest.approx(1)


def test_less_contrast_changes_no_correlation() -> None:
    found = means(pictures(0), pictures(1) // 2 + 30, pictures(1))
    assert found["lightness_correlation"] == pytest.approx(1)
    assert found["edge_correlation"] == pytest.approx(1)
    assert found["structural_similarity"] < 0.9


def test_flat_pictures_have_no_correlation_and_the_similarity_of_their_tones() -> None:
    source = torch.zeros(1, 3, 24, 24, dtype=torch.uint8)
    found = means(source, source + 51, source + 102)  # 0.2 and 0.4
    assert (found["lightness_correlation"], found["edge_correlation"]) == (0, 0)
    assert found["structural_similarity"] == pytest.approx((2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4))


def test_colour_counts_in_the_error_and_in_edges() -> None:
    red, blue = torch.zeros(2, 1, 3, 24, 24, dtype=torch.uint8)
    red[:, 0, :, :12], blue[:, 2, :, :12] = 255, 255
    found = means(torch.zeros_like(red), red, blue)
    assert found["paired_error"] == 2
    assert found["edge_correlation"] == pytest.approx(1)


def test_a_truth_that_is_the_source_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the true pictures are the source's own"):
        means(pictures(0), pictures(1), pictures(0))


def test_the_scores_of_a_domain_are_the_means_with_their_spread_over_latents() -> None:
    source, adapted, true = pictures(0), pictures(2), pictures(1)
    scores = paired.paired_scores(source, adapted, true)
    assert {name: score.value for name, score in scores.items()} == pytest.approx(means(source, adapted, true))
    for score in scores.values():
        assert score.low <= score.value <= score.high
        assert (score.num_images, score.reference, score.network) == (2, "true pictures of 2 latents", "pixels")


def test_no_share_is_left_of_no_difference() -> None:
    assert set(paired.paired_scores(pictures(0), pictures(1), pictures(0))) == {
        "structural_similarity",
        "lightness_correlation",
        "edge_correlation",
    }


def test_many_pictures_are_compared_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    one = paired.pixel_figures(pictures(0), pictures(1), pictures(2))
    monkeypatch.setattr(paired, "AT_ONCE", 1)
    two = paired.pixel_figures(pictures(0), pictures(1), pictures(2))
    assert torch.equal(one.error, two.error) and torch.equal(one.edges, two.edges)
