from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from nada.clip.losses import (
    EDIT_EPS,
    directional_loss,
    edit_directions,
    feature_loss,
    global_loss,
    in_domain_angle_loss,
    manifold_loss,
    moments_loss,
)
from nada.errors import ShapeError


def unit(count: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


@given(st.integers(0, 10_000))
def test_directional_loss_lies_between_0_and_2(seed: int) -> None:
    loss = directional_loss(unit(4, seed), unit(4, seed + 1), unit(1, seed + 2)[0])
    assert 0 <= loss <= 2


def test_directional_loss_is_the_papers_formula() -> None:
    source, target, text = unit(5, 0), unit(5, 1), unit(1, 2)[0]
    expected = torch.stack([1 - F.cosine_similarity(t - s, text, dim=0) for s, t in zip(source, target, strict=True)])
    torch.testing.assert_close(directional_loss(source, target, text), expected.mean())


def test_edits_along_the_text_cost_nothing() -> None:
    source = unit(3, 0)
    text = unit(1, 1)[0]
    assert directional_loss(source, source + 0.3 * text, text) == pytest.approx(0, abs=1e-6)


def test_a_zero_edit_costs_1_and_has_a_bounded_gradient() -> None:
    source, text = unit(2, 0), unit(1, 1)[0]
    target = source.clone().requires_grad_()
    loss = directional_loss(source, target, text)
    loss.backward()
    assert loss == 1
    assert target.grad is not None
    assert target.grad.norm(dim=1).max() <= 1 / EDIT_EPS


def test_edit_directions_have_unit_norm_beyond_the_guard() -> None:
    directions = edit_directions(unit(4, 0), unit(4, 1))
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(4))


def test_mismatched_embeddings_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"embeddings \[4, 8\] and \[3, 8\]; expected both \[N, D\]"):
        directional_loss(unit(4, 0), unit(3, 0), unit(1, 0)[0])


def test_global_loss_is_zero_at_the_text() -> None:
    text = unit(1, 0)
    assert global_loss(text, text[0]) == pytest.approx(0, abs=1e-6)


def test_the_manifold_loss_compares_each_target_with_its_own_source() -> None:
    source, target = torch.eye(2), torch.tensor([[0.6, 0.8], [0.8, 0.6]])
    assert manifold_loss(source, target, torch.tensor(0.6)) == pytest.approx(0, abs=1e-6)  # to both sources: 0.1
    assert manifold_loss(source, target, torch.tensor(0.25)) == pytest.approx(0.35)


def test_the_in_domain_angle_loss_compares_each_pair_with_its_sources() -> None:
    right, up = [1.0, 0.0], [0.0, 1.0]
    source, target = torch.tensor([right, up, right]), torch.tensor([right, right, up])
    assert in_domain_angle_loss(source, target) == pytest.approx(2 / 3)  # cosines 0, 1, 0 became 1, 0, 0


def test_the_in_domain_angle_loss_lets_all_pictures_turn_together() -> None:
    source, turn = unit(4, 0), torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(1)))[0]
    assert in_domain_angle_loss(source, source @ turn) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ShapeError, match="in-domain angle loss: 1 image; it compares pairs, so give 2 or more"):
        in_domain_angle_loss(source[:1], source[:1])


def test_the_moments_loss_is_of_mean_and_covariance() -> None:
    start = torch.zeros(2, 2)
    edits, texts = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    # Means (1/2, 1/2) and (1, 0); covariances [[1/4, -1/4], [-1/4, 1/4]] and 0.
    assert moments_loss(start, edits, texts) == pytest.approx(1 / 2 + 4 / 16)
    assert moments_loss(start, edits, edits) == pytest.approx(0, abs=1e-6)


def test_the_moments_loss_is_that_of_whole_covariance_matrices() -> None:
    source, target, texts = unit(5, 0), unit(5, 1), unit(7, 2)
    edits = edit_directions(source, target)
    means, covariances = zip(*((d.mean(dim=0), torch.cov(d.T, correction=0)) for d in (edits, texts)), strict=True)
    expected = (means[0] - means[1]).square().sum() + (covariances[0] - covariances[1]).square().sum()
    torch.testing.assert_close(moments_loss(source, target, texts), expected)


def test_the_feature_loss_is_the_mean_distance_to_the_sources() -> None:
    source, target = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    assert feature_loss(source, target) == pytest.approx((0.4 + 1.0) / 2)
