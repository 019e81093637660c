"""What must hold of every figure of one or two image sets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nada.errors import ShapeError
from nada.judge.bootstrap import estimate
from nada.judge.diversity import clusters, consistency, distances, ratio, within_clusters
from nada.judge.features import unit
from nada.judge.manifold import manifolds, squared_distances
from nada.judge.set_distances import kernel_distance
from nada.judge.spaces.structure import structure_features
from nada.judge.spread import diversity, spread

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(4, 40)
widths = st.integers(2, 12)


def features(seed: int, num: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((num, width)) @ rng.standard_normal((width, width)) + rng.standard_normal(width)


def rotation(seed: int, width: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0]


def manifold_means(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in vars(manifolds(a, b)).items()}


def two_set_figures(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    return {"kernel": kernel_distance(a, b), **manifold_means(a, b)}


@settings(deadline=None)
@given(seeds, counts, counts, widths)
def test_order_and_rotation_change_nothing(seed: int, n: int, m: int, width: int) -> None:
    a, b = features(seed, n, width), features(seed + 1, m, width)
    turn, order = rotation(seed, width), np.random.default_rng(seed).permutation(n)
    for changed in (two_set_figures(a[order], b), two_set_figures(a @ turn, b @ turn)):
        for name, value in two_set_figures(a, b).items():
            assert changed[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name
    assert diversity(a[order] @ turn) == pytest.approx(diversity(a), rel=1e-9)
    both = consistency(a[order] @ turn, b[:n][order]) if n <= m else None
    if both is not None:
        assert both.value == pytest.approx(consistency(a, b[:n]).value, abs=1e-9)


@given(seeds, counts, counts, widths)
def test_the_kernel_distance_is_symmetric(seed: int, n: int, m: int, width: int) -> None:
    a, b = features(seed, n, width), features(seed + 1, m, width)
    assert kernel_distance(a, b) == pytest.approx(kernel_distance(b, a), rel=1e-9)


@given(seeds, counts, widths)
def test_recall_is_precision_the_other_way_round(seed: int, num: int, width: int) -> None:
    a, b = features(seed, num, width), features(seed + 1, num + 3, width)
    assert manifold_means(a, b)["recall"] == manifold_means(b, a)["precision"]


@given(seeds, counts, widths)
def test_a_set_covers_itself(seed: int, num: int, width: int) -> None:
    a = features(seed, num, width)
    means = manifold_means(a, a)
    assert means["precision"] == means["recall"] == means["coverage"] == 1
    assert means["density"] >= 1  # each image lies in its own ball and in those of its neighbours


@given(seeds, counts, widths)
def test_sets_far_apart_share_nothing(seed: int, num: int, width: int) -> None:
    a = features(seed, num, width)
    assert set(manifold_means(a + 1e3, a).values()) == {0.0}


def test_the_kernel_distance_grows_with_the_shift_and_is_zero_on_average_without_one() -> None:
    rng = np.random.default_rng(0)
    means = []
    for shift in (0.0, 0.3, 0.6, 1.2):
        sets = [(rng.standard_normal((60, 3)), rng.standard_normal((50, 3)) + shift) for _ in range(20)]
        means.append(np.mean([kernel_distance(a, b) for a, b in sets]))
    assert means == sorted(means)
    assert abs(means[0]) < 0.3 * means[1]


def test_two_separate_pairs_have_known_figures() -> None:
    """References at 0 and 1 reach each other; one image lies between them, the other far away."""
    references, images = np.array([[0.0], [1.0]]), np.array([[0.5], [9.0]])
    known = manifolds(images, references)
    assert known.precision.tolist() == [1, 0]
    assert known.density.tolist() == [2, 0]  # in both balls, of k = 1 as there are but two references
    assert known.recall.tolist() == [1, 1]  # the images' balls reach 8.5
    assert known.coverage.tolist() == [1, 1]


def test_a_generator_of_one_mode_is_precise_and_covers_little() -> None:
    rng = np.random.default_rng(0)
    references = np.concatenate([rng.standard_normal((50, 4)), 20 + rng.standard_normal((50, 4))])
    means = manifold_means(0.3 * rng.standard_normal((100, 4)), references)
    assert means["precision"] == 1
    assert means["recall"] < 0.2
    assert 0.1 < means["coverage"] <= 0.5


def test_equal_rows_have_no_distance_whatever_rounding_does() -> None:
    row = 1e3 * np.random.default_rng(0).standard_normal((1, 512))
    assert (squared_distances(np.repeat(row, 30, axis=0), row) == 0).all()


@given(seeds, counts, widths)
def test_diversity_of_unit_vectors_is_one_minus_cosine(seed: int, num: int, width: int) -> None:
    emb = unit(features(seed, num, width))
    pairs = [1 - emb[i] @ emb[j] for i in range(num) for j in range(i)]
    assert diversity(emb) == pytest.approx(np.mean(pairs), abs=1e-12)


@given(seeds, counts, widths, st.floats(0.05, 0.9))
def test_pulling_images_together_lowers_diversity_by_the_square(seed: int, num: int, width: int, pull: float) -> None:
    a = features(seed, num, width)
    pulled = a.mean(axis=0) + pull * (a - a.mean(axis=0))
    kept = ratio(spread(pulled), spread(a), num)
    assert kept.value == pytest.approx(pull**2, rel=1e-6)
    assert kept.low == pytest.approx(kept.high, rel=1e-6)  # both vary together


def intra(a: np.ndarray) -> float:
    members = clusters(a)
    return estimate(within_clusters(members, [distances(a[one]) for one in members]), len(a)).value


@settings(max_examples=30)
@given(seeds, st.integers(2, 10), widths)
def test_a_generator_of_ten_pictures_has_no_diversity_within_clusters(seed: int, modes: int, width: int) -> None:
    pictures = features(seed, modes, width)
    repeated = pictures[np.arange(60) % modes]
    assert intra(repeated) == pytest.approx(0, abs=1e-12 * np.square(pictures).sum())
    assert diversity(repeated) > 0.3 * diversity(pictures)  # the mean over all pairs does not tell


@given(seeds, counts, widths)
def test_every_image_has_one_cluster_and_clusters_stay_small(seed: int, num: int, width: int) -> None:
    members = clusters(features(seed, num, width))
    assert 1 <= len(members) <= 10
    assert sorted(image for one in members for image in one) == list(range(num))
    assert max(len(one) for one in clusters(features(seed, 800, 2))) <= 50


@given(seeds, counts, widths)
def test_consistency_is_one_for_itself_and_kept_by_inversion(seed: int, num: int, width: int) -> None:
    a = features(seed, num, width)
    assert consistency(a, a).value == pytest.approx(1)
    assert consistency(7 - 2 * a, a).value == pytest.approx(1)


def test_consistency_of_unrelated_sets_is_near_zero() -> None:
    values = [consistency(features(seed, 40, 6), features(seed + 500, 40, 6)).value for seed in range(20)]
    assert abs(np.mean(values)) < 0.05


def test_consistency_of_a_collapsed_set_is_zero() -> None:
    a = features(0, 10, 4)
    assert consistency(np.ones((10, 4)), a).value == 0


def pictures(seed: int, num: int = 12, size: int = 32) -> torch.Tensor:
    """Smooth random pictures with shades and edges."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(num, 3, 6, 6, generator=rng)
    return (255 * torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")).to(torch.uint8)


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_structure_keeps_its_diversity_under_changes_of_colour_and_contrast(seed: int) -> None:
    img_u8 = pictures(seed)
    before = diversity(structure_features(img_u8))
    assert diversity(structure_features(255 - img_u8)) == pytest.approx(before, rel=1e-3)
    paler = (img_u8.double() * 0.5 + 100).to(torch.uint8)
    assert 0.5 * before < diversity(structure_features(paler)) < before  # squared distances of pixels fall to 0.25
    assert consistency(structure_features(255 - img_u8), structure_features(img_u8)).value > 0.999


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_structure_sees_a_collapse_behind_grain(seed: int) -> None:
    img_u8 = pictures(seed, size=64)
    grain = torch.randint(-8, 9, img_u8.shape, generator=torch.Generator().manual_seed(seed))
    one = (img_u8[:1].int() + grain).clamp(0, 255).to(torch.uint8)
    assert diversity(structure_features(one)) < 0.1 * diversity(structure_features(img_u8))


def test_flat_pictures_have_no_structure_and_the_norm_stays_below_one() -> None:
    assert not structure_features(torch.full((2, 3, 20, 20), 77, dtype=torch.uint8)).any()
    stripes = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    stripes[:, :, ::8] = stripes[:, :, 1::8] = stripes[:, :, 2::8] = stripes[:, :, 3::8] = 255
    assert 0.5 < np.square(structure_features(stripes)).sum() <= 1.2


def test_structure_needs_colour_images() -> None:
    with pytest.raises(ShapeError, match=r"expected \[M, 3, H, W\], got \[2, 1, 8, 8\]"):
        structure_features(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize("figure", [kernel_distance, manifolds])
@pytest.mark.parametrize("shapes", [((1, 4), (5, 4)), ((5, 4), (5, 3))])
def test_shapes_that_do_not_fit_are_refused(figure: object, shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    with pytest.raises(ShapeError, match="n, m >= 2"):
        figure(np.zeros(shapes[0]), np.zeros(shapes[1]))  # type: ignore[operator]
