"""How near pictures are to their true ones, pixel by pixel, without a network that could be fooled.

Only where a domain is a function of the source's picture, such as a filter, is the true picture of a latent known. No
single figure is the truth: most of a sketch is white paper, so that a pale one has little error, and the truth of a
black and white picture is so near the photograph that a small shift of tone counts much. Four are told, and an eye
looks beside them. Legend: N pictures, C channels, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nada.judge.bootstrap import estimate, mean_estimate
from nada.judge.scores import Score, Space
from nada.judge.spread import quotient
from nada.micro_batch import parts

MAX_PICTURES = 100  # compared, the first ones
AT_ONCE = 16  # pictures: what double precision takes of each is many times its bytes
SPACE = Space("pixels", "none")
LUMA = (0.299, 0.587, 0.114)  # lightness of red, green and blue (ITU-R BT.601)
EDGE_SIGMA = 0.8 / 128  # of the blur ahead of the gradients, as a share of the picture's side
WINDOW_SIGMA, WINDOW_RADIUS = 1.5, 5  # of structural similarity, in pixels
STABILISERS = (0.01**2, 0.03**2)  # of structural similarity, for values in [0, 1]


@dataclass(frozen=True)
class PixelFigures:
    """One number a picture, [N] each."""

    error: Tensor
    """Mean absolute difference to the true picture, 0 to 1."""
    source_error: Tensor
    """That of the untouched source."""
    structure: Tensor
    """Structural similarity of lightness with the true picture, -1 to 1."""
    lightness: Tensor
    """Correlation of lightness with the true picture's, -1 to 1; 0 where one is flat."""
    edges: Tensor
    """Correlation of the strength of edges with the true picture's, likewise."""

    def means(self) -> dict[str, float]:
        """Over the pictures; `paired_error` is the share of the source's error that is left.

        Raises:
            ValueError: the source is the truth.
        """
        whole = self.source_error.mean()
        if whole == 0:
            raise ValueError("the true pictures are the source's own: nothing could be left of no difference")
        return {
            "paired_error": float(self.error.mean() / whole),
            "structural_similarity": float(self.structure.mean()),
            "lightness_correlation": float(self.lightness.mean()),
            "edge_correlation": float(self.edges.mean()),
        }


def paired_scores(source_u8: Tensor, adapted_u8: Tensor, true_u8: Tensor) -> dict[str, Score]:
    """The four figures of a domain, each with its interval over latents.

    Args:
        source_u8: [N, 3, H, W] bytes of the source, N >= 2.
        adapted_u8: of the domain, on the same latents.
        true_u8: what these should have become.

    Returns:
        `paired_error`, the share of the source's mean absolute difference to the truth that is left (not where the
        source is the truth), `structural_similarity`, `lightness_correlation` and `edge_correlation`.
    """
    figures, num = pixel_figures(source_u8, adapted_u8, true_u8), len(true_u8)
    error, source_error = (np.asarray(of, dtype=np.float64) for of in (figures.error, figures.source_error))
    found = {
        "structural_similarity": mean_estimate(figures.structure.numpy()),
        "lightness_correlation": mean_estimate(figures.lightness.numpy()),
        "edge_correlation": mean_estimate(figures.edges.numpy()),
    }
    if source_error.any():
        found["paired_error"] = estimate(lambda counts: quotient(counts @ error, counts @ source_error), num)
    return {name: SPACE.score(figure, f"true pictures of {num} latents", num) for name, figure in found.items()}


def pixel_figures(source_u8: Tensor, adapted_u8: Tensor, true_u8: Tensor) -> PixelFigures:
    """Compare pictures with the true ones of the same latents, all [N, 3, H, W] bytes."""
    sets = (source_u8, adapted_u8, true_u8)
    slices = parts(len(true_u8), AT_ONCE)
    compared = [_compared(*(img_u8[part].double() / 255 for img_u8 in sets)) for part in slices]
    return PixelFigures(
        *(torch.cat([getattr(part, field.name) for part in compared]) for field in fields(PixelFigures))
    )


def _compared(source: Tensor, adapted: Tensor, true: Tensor) -> PixelFigures:
    return PixelFigures(
        error=(adapted - true).abs().mean(dim=(1, 2, 3)),
        source_error=(source - true).abs().mean(dim=(1, 2, 3)),
        structure=structural_similarity(lightness(adapted), lightness(true)),
        lightness=correlation(lightness(adapted), lightness(true)),
        edges=correlation(edge_strength(adapted), edge_strength(true)),
    )


def lightness(img: Tensor) -> Tensor:
    """[N, 3, H, W] -> [N, 1, H, W]."""
    return (img * img.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)


def edge_strength(img: Tensor) -> Tensor:
    """Length of the gradient, the longest of the channels, after a slight blur; [N, C, H, W] -> [N, 1, H, W]."""
    sigma = EDGE_SIGMA * img.shape[-1]
    radius = max(1, round(3 * sigma))
    padded = F.pad(img, (radius + 1,) * 4, mode="replicate")
    blurred = _gaussian(padded, sigma, radius)  # one pixel more than the picture on every side
    across = blurred[..., 1:-1, 2:] - blurred[..., 1:-1, :-2]
    down = blurred[..., 2:, 1:-1] - blurred[..., :-2, 1:-1]
    return torch.hypot(across, down).amax(dim=1, keepdim=True)


def correlation(one: Tensor, two: Tensor) -> Tensor:
    """Pearson's, over the pixels of each picture; [N, ...] twice -> [N], 0 where one is flat."""
    one, two = (values.flatten(1) - values.flatten(1).mean(dim=1, keepdim=True) for values in (one, two))
    norms = one.norm(dim=1) * two.norm(dim=1)
    return torch.where(norms > 1e-9, (one * two).sum(dim=1) / norms.clamp_min(1e-9), 0.0)


def structural_similarity(one: Tensor, two: Tensor) -> Tensor:
    """Wang et al. 2004: windows of 11x11 pixels with Gaussian weights, whole ones alone; [N, 1, H, W] twice -> [N].

    SSIM = (2 m1 m2 + c1) (2 cov + c2) / ((m1^2 + m2^2 + c1) (v1 + v2 + c2)), averaged over the windows.
    """
    c1, c2 = STABILISERS
    parts = _gaussian(torch.cat([one, two, one * one, two * two, one * two], dim=1), WINDOW_SIGMA, WINDOW_RADIUS)
    mean_1, mean_2, square_1, square_2, product = parts.unbind(dim=1)
    covariance, variances = product - mean_1 * mean_2, square_1 + square_2 - mean_1**2 - mean_2**2
    ratio = (2 * mean_1 * mean_2 + c1) * (2 * covariance + c2)
    return (ratio / ((mean_1**2 + mean_2**2 + c1) * (variances + c2))).mean(dim=(1, 2))


def _gaussian(img: Tensor, sigma: float, radius: int) -> Tensor:
    """Blur without padding, so that `radius` pixels are lost on every side."""
    places = torch.arange(-radius, radius + 1, dtype=img.dtype)
    weights = torch.exp(-0.5 * (places / sigma) ** 2)
    weights = (weights / weights.sum()).expand(img.shape[1], 1, 1, -1)
    img = F.conv2d(img, weights, groups=img.shape[1])
    return F.conv2d(img, weights.transpose(2, 3), groups=img.shape[1])
