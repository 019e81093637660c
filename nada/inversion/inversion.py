"""The inversion of a picture by optimisation, as an iterator: first in W, then in W+.

The projector of StyleGAN2 (arXiv:1912.04958, appendix D): one w starts at the mean and is led by the perceptual
distance alone, with noise added to it that fades. Then every layer gets a row of its own, which brings it nearer to the
picture. It never logs, saves or prints.
Legend: L style layers, W_DIM latent width, F features, R resolution, H W pixels of a noise map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.errors import NonFiniteLossError
from nada.generators.domain import Domain
from nada.generators.light.generator import LightGenerator
from nada.generators.protocol import Noise
from nada.generators.registry import Network
from nada.images import from_u8, levels_apart, to_u8
from nada.inversion.config import InversionConfig
from nada.inversion.perceptual import Perceptual, distance
from nada.latents import draw_z, seeded_rng
from nada.ramps import ramped

MEAN_OF = 10_000  # latents, as published
DRAWN_AT_ONCE = 1000
NOISE_UNTIL = 0.75  # of the steps in W: latent noise has faded by then
SMALLEST_MAP = 8  # px, to which noise maps are halved when they are regularised
BETAS = (0.9, 0.999)

Space = Literal["w", "w+"]


@dataclass(frozen=True)
class InversionStep:
    """What happened in one step."""

    index: int
    """Over both spaces, from 0."""
    total: int
    space: Space
    distance: Tensor
    """Detached."""


@dataclass(frozen=True)
class Inverted:
    """What came of it."""

    ws: Tensor
    """[L, W_DIM] float32 on the CPU."""
    img_u8: Tensor
    """[1, 3, R, R] bytes: what the domain draws of it with the noise maps stored in its weights."""
    levels: float
    """Mean difference to the picture, of 255."""
    distance: float
    """The perceptual one."""


class Inversion:
    """Looks for the latents from which a domain draws a picture.

    Iterate over it, then ask for its `result`.

    Args:
        domain: draws; any finished domain, or the source.
        perceptual: compares.
        img_u8: [1, 3, R, R] bytes, of the domain's size.
        config: how long, and how.

    Raises, while iterated over:
        NonFiniteLossError: the distance is no number any more.
    """

    def __init__(self, domain: Domain, perceptual: Perceptual, img_u8: Tensor, config: InversionConfig) -> None:
        self.domain, self.perceptual, self.config = domain, perceptual, config
        self.rng = seeded_rng(config.seed)
        self.img_u8 = img_u8
        mean, self.spread = w_statistics(domain, self.rng)
        with torch.no_grad():
            self.target = perceptual.features(from_u8(img_u8.to(mean.device)))  # [1, F]
        self.rows = mean[None]  # [1, W_DIM], or [L, W_DIM] in W+
        self.maps = _noise_maps(domain, self.rng)

    def __iter__(self) -> Iterator[InversionStep]:
        config = self.config
        yield from self._descend("w", config.w_steps, config.learning_rate, config.latent_noise, 0)
        if config.plus_steps:
            self.rows = self.rows.expand(self.domain.num_ws, -1).clone()
            yield from self._descend("w+", config.plus_steps, config.plus_learning_rate, 0.0, config.w_steps)

    def _descend(
        self, space: Space, num_steps: int, learning_rate: float, latent_noise: float, before: int
    ) -> Iterator[InversionStep]:
        """One space, from where the last one ended."""
        rows = self.rows.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([rows, *self.maps], lr=learning_rate, betas=BETAS)
        for index in range(num_steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * ramped(index, num_steps)

            # Noise on the latent at first: what is found lies in a wide valley, and not in the first hole.
            fade = max(0.0, 1 - index / num_steps / NOISE_UNTIL) ** 2
            noise = torch.randn(rows.shape, generator=self.rng).to(rows) * self.spread * latent_noise * fade
            img = self.domain.synthesis(self._ws(rows + noise), self._noise)  # [1, 3, R, R]

            # The picture should look alike, and the noise maps like noise.
            apart = distance(self.perceptual.features(img), self.target)
            loss = apart + self.config.noise_weight * noise_correlation(self.maps) if self.maps else apart
            if not loss.isfinite():
                raise NonFiniteLossError(f"step {before + index}: the distance to the picture is {loss.item()}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            _normalise(self.maps)
            self.rows = rows.detach()
            yield InversionStep(before + index, self.config.w_steps + self.config.plus_steps, space, apart.detach())

    @torch.no_grad()
    def result(self) -> Inverted:
        """The latents as they are now, and what the domain draws of them.

        Noise maps that were learnt are left behind: they keep latents from painting grain, and no domain draws them.
        """
        img = self.domain.synthesis(self._ws(self.rows), "const")
        img_u8 = to_u8(img).cpu()
        apart = distance(self.perceptual.features(img), self.target)
        ws = self._ws(self.rows)[0].float().cpu().contiguous()
        return Inverted(ws, img_u8, levels_apart(img_u8, self.img_u8.cpu())[1], float(apart))

    @property
    def _noise(self) -> Noise:
        return tuple(self.maps) if self.maps else "const"

    def _ws(self, rows: Tensor) -> Tensor:
        """[1, W_DIM] or [L, W_DIM] -> [1, L, W_DIM]."""
        return rows.expand(self.domain.num_ws, -1)[None]


@torch.no_grad()
def w_statistics(domain: Domain, rng: torch.Generator) -> tuple[Tensor, float]:
    """The mean of W, [W_DIM], and the root of the mean squared distance to it."""
    drawn = [domain.mapping(draw_z(DRAWN_AT_ONCE, domain, rng))[:, 0] for _ in range(MEAN_OF // DRAWN_AT_ONCE)]
    w = torch.cat(drawn)
    mean = w.mean(dim=0)
    return mean, float((w - mean).square().sum(dim=1).mean().sqrt())


def noise_correlation(maps: Sequence[Tensor]) -> Tensor:
    """Squared correlation of each noise map with itself moved by a pixel, at every size; 0 for white noise.

    Args:
        maps: [1, 1, H, W] each, of mean 0 and variance 1.
    """
    total = torch.zeros([], device=maps[0].device)
    for noise in maps:
        while True:
            total = total + sum((noise * noise.roll(1, dims=dim)).mean().square() for dim in (2, 3))
            if noise.shape[2] <= SMALLEST_MAP:
                break
            noise = F.avg_pool2d(noise, 2)
    return total


def _noise_maps(domain: Domain, rng: torch.Generator) -> list[Tensor]:
    """Fresh maps to learn, of a generator that adds such noise to its pictures."""
    if not isinstance(domain, Network | LightGenerator):
        return []
    strengths = [weight for name, weight in domain.named_parameters() if name.endswith("noise_strength")]
    if not any(bool(strength.any()) for strength in strengths):
        return []
    device = strengths[0].device
    return [noise.to(device).requires_grad_() for noise in domain.draw_noise(1, rng)]


@torch.no_grad()
def _normalise(maps: Sequence[Tensor]) -> None:
    """To mean 0 and variance 1, in place."""
    for noise in maps:
        noise -= noise.mean()
        noise *= noise.square().mean().rsqrt()
