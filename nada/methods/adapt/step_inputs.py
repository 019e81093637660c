"""Everything random of a step, drawn for the whole batch before anything is computed.

So memory may decide how many pictures are computed at once, and never which ones.
Legend: N batch, L style layers, W_DIM latent width, D CLIP width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nada.clip.augmentations import Augmentations
from nada.clip.guide import Guide
from nada.generators.protocol import Generator, NoiseMaps
from nada.latents import draw_ws
from nada.methods.adapt.config import AdaptConfig


@dataclass(frozen=True)
class RenderInputs:
    """What is random when N latents are rendered and embedded: the generator's noise, the views of the pictures."""

    noise: NoiseMaps
    views: Augmentations

    def __getitem__(self, part: slice) -> RenderInputs:
        """The same for some of the latents."""
        return RenderInputs(tuple(noise_map[part] for noise_map in self.noise), self.views[part])

    def embed(self, generator: Generator, guide: Guide, ws: Tensor) -> list[Tensor]:
        """Render ws [N, L, W_DIM] and embed the pictures: one emb [N, D] a model of the guide."""
        return guide.embed_images(generator.synthesis(ws, noise=self.noise), self.views)


@dataclass(frozen=True)
class Batch:
    """The latents of a step, and how they are seen before and after the change: independently of each other."""

    ws: Tensor
    """[N, L, W_DIM]."""
    source: RenderInputs
    target: RenderInputs

    def __len__(self) -> int:
        return self.ws.shape[0]

    def split(self, size: int) -> Iterator[Batch]:
        """Micro-batches of at most `size` samples, in order."""
        for part in parts(len(self), size):
            yield Batch(self.ws[part], self.source[part], self.target[part])


def draw_render_inputs(count: int, generator: Generator, guide: Guide, rng: torch.Generator) -> RenderInputs:
    """Noise and views of N pictures."""
    return RenderInputs(generator.draw_noise(count, rng), guide.draw_augmentations(count, generator.resolution, rng))


def draw_batch(config: AdaptConfig, generator: Generator, guide: Guide, rng: torch.Generator) -> Batch:
    """Latents of a step, some of them mixed, with noise and views for source and target."""
    ws = draw_ws(config.batch_size, generator, rng, config.style_mixing)
    source, target = (draw_render_inputs(config.batch_size, generator, guide, rng) for _ in range(2))
    return Batch(ws, source, target)


def parts(count: int, size: int) -> list[slice]:
    """Consecutive slices of at most `size` that cover `count`.

    >>> parts(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
