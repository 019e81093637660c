"""What the filters are made of: random amounts, blurs, edges, flat areas and ramps of colour.

Pictures are [N, 3, H, W] in [0, 1]. Lengths are in pixels of a 128 px picture and grow with it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in perceived lightness (ITU-R BT.601)."""


class Draw:
    """Random numbers for one batch: `jitter` 0 gives every filter's middle."""

    def __init__(self, num: int, side: int, rng: torch.Generator, jitter: float = 0.0) -> None:
        self.num, self.side, self.rng, self.jitter = num, side, rng, jitter
        self.device = rng.device

    def amount(self, middle: float, spread: float) -> Tensor:
        """One number a picture, [N, 1, 1, 1], around the middle."""
        u = torch.rand(self.num, 1, 1, 1, generator=self.rng, device=self.device) * 2 - 1
        return middle + self.jitter * spread * u

    def length(self, middle: float, spread: float = 0.0) -> float:
        """One length for the batch, in pixels of this picture."""
        u = float(torch.rand((), generator=self.rng, device=self.device)) * 2 - 1
        return (middle + self.jitter * spread * u) * self.side / 128

    def colour(self, rgb: tuple[float, float, float], spread: float = 0.08) -> Tensor:
        """A colour [N, 3, 1, 1] near `rgb` (0 to 1)."""
        u = torch.rand(self.num, 3, 1, 1, generator=self.rng, device=self.device) * 2 - 1
        middle = torch.tensor(rgb, device=self.device)[:, None, None]
        return (middle + self.jitter * spread * u).clamp(0, 1)

    def noise(self, sigma: float, across: float | None = None) -> Tensor:
        """Smooth noise [N, 1, H, W] of deviation 1; `across` makes strokes."""
        n = torch.randn(self.num, 1, self.side, self.side, generator=self.rng, device=self.device)
        n = blur(n, sigma * self.side / 128, None if across is None else across * self.side / 128)
        return n / n.flatten(1).std(dim=1)[:, None, None, None].clamp_min(1e-6)


def grey(img: Tensor) -> Tensor:
    """Lightness [N, 1, H, W]."""
    weights = torch.tensor(LUMA, device=img.device)[:, None, None]
    return (img * weights).sum(dim=1, keepdim=True)


def _kernel(sigma: float, device: torch.device) -> Tensor:
    """Weights of a Gaussian that reach three deviations far."""
    radius = max(1, int(3 * sigma + 0.5))
    x = torch.arange(-radius, radius + 1, device=device, dtype=torch.float32)
    k = torch.exp(-0.5 * (x / max(sigma, 1e-3)) ** 2)
    return k / k.sum()


def blur(img: Tensor, sigma: float, across: float | None = None) -> Tensor:
    """Gaussian blur by `sigma` pixels (vertical) and `across` (horizontal, the same if None)."""
    channels = img.shape[1]
    for axis, s in ((2, sigma), (3, sigma if across is None else across)):
        if s < 0.15:
            continue
        k = _kernel(s, img.device)
        radius = len(k) // 2
        shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
        pad = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
        img = F.conv2d(F.pad(img, pad, mode="reflect"), k.view(shape).expand(channels, 1, *shape[2:]), groups=channels)
    return img


def edges(img: Tensor, sigma: float) -> Tensor:
    """Strength of edges [N, 1, H, W], about 0 to 1: the strongest gradient of the channels after a blur."""
    b = F.pad(blur(img, sigma), (1, 1, 1, 1), mode="replicate")
    gx = (b[..., 1:-1, 2:] - b[..., 1:-1, :-2]) / 2
    gy = (b[..., 2:, 1:-1] - b[..., :-2, 1:-1]) / 2
    return (gx**2 + gy**2 + 1e-12).sqrt().amax(dim=1, keepdim=True) * img.shape[-1] / 128 * 4


def smooth(img: Tensor, radius: int, tone: float, rounds: int = 1) -> Tensor:
    """Bilateral filter: an average of neighbours within `radius` that differ by less than about `tone`."""
    for _ in range(rounds):
        padded = F.pad(img, (radius,) * 4, mode="reflect")
        total, weight = torch.zeros_like(img), torch.zeros_like(img[:, :1])
        for dy in range(2 * radius + 1):
            for dx in range(2 * radius + 1):
                other = padded[..., dy : dy + img.shape[2], dx : dx + img.shape[3]]
                w = torch.exp(-((other - img) ** 2).sum(dim=1, keepdim=True) / (2 * tone**2))
                total, weight = total + w * other, weight + w
        img = total / weight
    return img


def kuwahara(img: Tensor, radius: int) -> Tensor:
    """Every pixel takes the mean of the calmest of its four neighbouring squares: flat strokes with firm edges."""
    size = radius + 1
    padded = F.pad(img, (radius,) * 4, mode="reflect")
    mean = F.avg_pool2d(padded, size, stride=1)
    var = (F.avg_pool2d(padded**2, size, stride=1) - mean**2).sum(dim=1, keepdim=True)
    h, w = img.shape[2:]
    corners = [(0, 0), (0, radius), (radius, 0), (radius, radius)]
    means = torch.stack([mean[..., y : y + h, x : x + w] for y, x in corners])
    spread = torch.stack([var[..., y : y + h, x : x + w] for y, x in corners]).clamp_min(0)
    weights = (-spread / 1e-3).softmax(dim=0)
    return (means * weights).sum(dim=0)


def ramp(tone: Tensor, colours: list[Tensor]) -> Tensor:
    """Tone [N, 1, H, W] in [0, 1] through evenly spaced colours, linearly."""
    place = tone.clamp(0, 1) * (len(colours) - 1)
    img = torch.zeros_like(tone).expand(-1, 3, -1, -1)
    for i, colour in enumerate(colours):
        img = img + (1 - (place - i).abs()).clamp_min(0) * colour
    return img


def steps(tone: Tensor, limits: list[Tensor], inks: list[Tensor]) -> Tensor:
    """Tone through flat inks: ink i below limit i."""
    img = inks[-1].expand(-1, -1, *tone.shape[2:])
    for limit, ink in zip(reversed(limits), reversed(inks[:-1]), strict=True):
        img = torch.where(tone < limit, ink, img)
    return img


def grid(img: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates y, x [1, 1, H, W] in pixels of a 128 px picture."""
    h, w = img.shape[2:]
    y, x = torch.meshgrid(torch.arange(h, device=img.device), torch.arange(w, device=img.device), indexing="ij")
    return (y * 128.0 / h)[None, None], (x * 128.0 / w)[None, None]


def vivid(img: Tensor, amount: Tensor | float) -> Tensor:
    """More (or less) colour around the same lightness."""
    g = grey(img)
    return (g + (img - g) * amount).clamp(0, 1)
