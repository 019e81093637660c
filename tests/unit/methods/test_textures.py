"""Textures of pictures, worked by hand."""

from __future__ import annotations

import pytest
import torch

from nada.clip.guide import Guide
from nada.methods.adapt.objective.textures import gram, texture_loss, textures

# Two places, of features (3, 4) and (1, 0): of unit length (0.6, 0.8) and (1, 0).
PLACES = torch.tensor([[[3.0, 4.0], [1.0, 0.0]]])
GRAM = torch.tensor([[(0.36 + 1) / 2, 0.48 / 2], [0.48 / 2, 0.64 / 2]])


def test_a_gram_matrix_is_the_mean_product_of_unit_features() -> None:
    torch.testing.assert_close(gram(PLACES)[0], GRAM)
    as_picture = PLACES.transpose(1, 2).reshape(1, 2, 1, 2)  # [N, C, H, W]
    torch.testing.assert_close(gram(as_picture)[0], GRAM)
    assert float(gram(torch.randn(1, 9, 5)).diagonal(dim1=1, dim2=2).sum()) == pytest.approx(1)


def test_where_something_is_makes_no_texture() -> None:
    torch.testing.assert_close(gram(PLACES), gram(PLACES.flip(1)))


def test_the_loss_is_the_mean_squared_distance_to_the_style() -> None:
    of_two = torch.tensor([[1.0, 2.0], [3.0, 2.0]])
    assert float(texture_loss(of_two, torch.tensor([1.0, 0.0]))) == pytest.approx((4 + (4 + 4)) / 2)


def test_a_tower_gives_its_first_levels_and_lets_gradients_through(tiny_guide: Guide) -> None:
    clip = tiny_guide.models[0]
    img = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    found = textures(clip, img)
    assert found.shape[0] == 2 and bool(found.isfinite().all())
    texture_loss(found, found[0].detach()).backward()
    assert img.grad is not None and bool(img.grad[1].abs().sum() > 0) and not bool(img.grad[0].any())
