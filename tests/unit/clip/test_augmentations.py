from __future__ import annotations

import torch

from nada.clip.augmentations import draw_augmentations
from nada.config import ViewsConfig

IMG = torch.linspace(-1, 1, 2 * 3 * 16 * 16).reshape(2, 3, 16, 16)


def seen(img: torch.Tensor, config: ViewsConfig, rng: torch.Generator) -> torch.Tensor:
    return draw_augmentations(len(img), img.shape[-1], config, rng).of(img)


def test_views_without_jitter_are_the_images_themselves() -> None:
    assert seen(IMG, ViewsConfig(), torch.Generator()) is IMG


def test_the_same_seed_draws_the_same_views() -> None:
    config = ViewsConfig(crop=0.3, flip=True, noise=0.1)
    first, second = (seen(IMG, config, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)


def test_two_draws_differ() -> None:
    rng = torch.Generator().manual_seed(3)
    config = ViewsConfig(crop=0.3)
    assert not torch.equal(seen(IMG, config, rng), seen(IMG, config, rng))


def test_a_flip_alone_only_mirrors() -> None:
    rng = torch.Generator().manual_seed(0)
    for _ in range(8):
        for view, img in zip(seen(IMG, ViewsConfig(flip=True), rng), IMG, strict=True):
            assert torch.allclose(view, img, atol=1e-5) or torch.allclose(view, img.flip(-1), atol=1e-5)


def test_views_let_gradients_through() -> None:
    img = IMG.clone().requires_grad_()
    seen(img, ViewsConfig(crop=0.2, flip=True, noise=0.1), torch.Generator()).sum().backward()
    assert img.grad is not None and img.grad.abs().sum() > 0


def test_part_of_the_views_shows_part_of_the_images() -> None:
    views = draw_augmentations(2, 16, ViewsConfig(crop=0.3, flip=True, noise=0.1), torch.Generator())
    torch.testing.assert_close(views[1:2].of(IMG[1:2]), views.of(IMG)[1:2])
