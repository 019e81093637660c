"""Pictures that come near a filter's result, or only pretend to, each with how far on the way it is.

A guide that has only seen true results is content with half of them: a washed-out portrait passes for a pencil
sketch, an orange one for sepia. Learning a score for near misses makes the whole edit pay.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

KINDS = ("blend", "best colours", "colours", "off colours", "halo", "brush", "soft")


def closeness(img: Tensor, source: Tensor, truth: Tensor) -> Tensor:
    """Share of the way from source to truth, [N] in [0, 1], by colours and by edges alike; all [N, 3, H, W]."""
    shares = []
    for view in (lambda x: x, _gradients):
        missing = (view(img) - view(truth)).abs().flatten(1).mean(dim=1)
        shares.append(missing / (view(source) - view(truth)).abs().flatten(1).mean(dim=1).clamp_min(1e-3))
    return (1 - (shares[0] + shares[1]) / 2).clamp(0, 1)


def _gradients(img: Tensor) -> Tensor:
    """Differences to the right and below, [N, 6, H - 1, W - 1]."""
    across, down = img[..., :-1, 1:] - img[..., :-1, :-1], img[..., 1:, :-1] - img[..., :-1, :-1]
    return torch.cat([across, down], dim=1)


def _best_colours(source: Tensor, truth: Tensor) -> Tensor:
    """The affine change of colours of one image [3, H, W] that comes nearest to the truth."""
    pixels = torch.cat([source.flatten(1), torch.ones(1, source[0].numel())])
    gram = pixels @ pixels.T + 1e-2 * torch.eye(4)
    matrix = torch.linalg.solve(gram, pixels @ truth.flatten(1).T)
    return (matrix.T @ pixels).view_as(source)


def _random_colours(img: Tensor, strength: float) -> Tensor:
    matrix = torch.eye(3) * (1 - strength / 2) + strength * 0.6 * torch.randn(3, 3)
    return torch.einsum("oc,chw->ohw", matrix, img) + strength * 0.6 * torch.randn(3, 1, 1)


def _brush(img: Tensor) -> Tensor:
    """What a random small convolutional network adds to an image [3, H, W]."""
    body = nn.Sequential(nn.Conv2d(3, 12, 5, padding=2, padding_mode="reflect"), nn.LeakyReLU(0.2))
    head = nn.Conv2d(12, 3, 3, padding=1, padding_mode="reflect")
    with torch.no_grad():
        added = head(body(img[None]))[0]
    return img + added * float(torch.rand(()) * 0.8 / added.std().clamp_min(1e-3))


def _blurred(img: Tensor) -> Tensor:
    small = F.avg_pool2d(img[None], 4)
    return F.interpolate(small, scale_factor=4, mode="bilinear", align_corners=False)[0]


def near_miss(source: Tensor, truth: Tensor, rng: np.random.Generator) -> Tensor:
    """One near miss of a filter, [3, H, W]; source and truth in [-1, 1], the result may leave it a little."""
    kind, amount = KINDS[int(rng.integers(len(KINDS)))], float(rng.uniform(0, 1))
    if kind == "blend":
        img = source + amount * (truth - source)
    elif kind == "best colours":
        img = source + (0.5 + 0.7 * amount) * (_best_colours(source, truth) - source)
    elif kind == "colours":
        img = _random_colours(source, 1.0)
    elif kind == "off colours":
        img = _random_colours(truth, 0.2 + 0.6 * amount)
    elif kind == "halo":
        start = truth if rng.random() < 0.5 else _best_colours(source, truth)
        img = start + (3 * amount - 1) * (source - _blurred(source))
    elif kind == "brush":
        img = _brush(truth if rng.random() < 0.3 else _best_colours(source, truth))
    else:
        img = amount * _blurred(truth) + (1 - amount) * _best_colours(source, truth)
    return img.clamp(-1.4, 1.4)
