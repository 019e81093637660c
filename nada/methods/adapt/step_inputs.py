"""Everything random of a step, drawn for the whole batch before anything is computed.

So memory may decide how many pictures are computed at once, and never which ones.
Legend: N batch, L style layers, W_DIM latent width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nada.clip.augmentations import Augmentations, draw_patches
from nada.clip.guide import Guide
from nada.generators.protocol import Generator, NoiseMaps
from nada.latents import draw_ws, seeded_rng
from nada.methods.adapt.config import AdaptConfig
from nada.micro_batch import parts


@dataclass(frozen=True)
class RenderInputs:
    """What is random when N latents are rendered and seen: the generator's noise, the views of the pictures."""

    noise: NoiseMaps
    views: Augmentations

    def __getitem__(self, part: slice) -> RenderInputs:
        """The same for some of the latents."""
        return RenderInputs(tuple(noise_map[part] for noise_map in self.noise), self.views[part])


@dataclass(frozen=True)
class StepInputs:
    """The latents of a step, and how they are seen before and after the change: independently of each other."""

    ws: Tensor
    """[N, L, W_DIM]."""
    source: RenderInputs
    target: RenderInputs
    patches: tuple[Augmentations, Augmentations] | None = None
    """A patch of each picture, before and after, where a loss asks for patches."""
    whole: StepInputs | None = None
    """Of what this is a part, where it is one."""
    start: int = 0
    """First of its samples in `whole`."""
    drawn: str = field(kw_only=True)
    """Equal for steps of equal latents, noise and views: hash of the generator's state, and what was drawn from it."""

    def __len__(self) -> int:
        return self.ws.shape[0]

    @property
    def place(self) -> slice:
        """Its samples in `whole`."""
        return slice(self.start, self.start + len(self))

    @property
    def share(self) -> float:
        """Of the samples of `whole`."""
        return 1.0 if self.whole is None else len(self) / len(self.whole)

    def split(self, size: int) -> Iterator[StepInputs]:
        """Micro-batches of at most `size` samples, in order."""
        if size >= len(self):
            yield self
            return
        for part in parts(len(self), size):
            patches = None if self.patches is None else (self.patches[0][part], self.patches[1][part])
            rendered = self.source[part], self.target[part]
            yield StepInputs(self.ws[part], *rendered, patches, self, part.start, drawn=self.drawn)


def draw_render_inputs(count: int, generator: Generator, guide: Guide, rng: torch.Generator) -> RenderInputs:
    """Noise and views of N pictures."""
    return RenderInputs(generator.draw_noise(count, rng), guide.draw_augmentations(count, generator.resolution, rng))


def draw_step_inputs(
    config: AdaptConfig,
    generator: Generator,
    guide: Guide,
    rng: torch.Generator,
    bank: torch.Generator | None = None,
) -> StepInputs:
    """Latents of a step, some of them mixed, with noise and views for source and target.

    Args:
        config: how many, how they are mixed, and whether patches are asked for.
        generator: the source.
        guide: says how views stray.
        rng: draws what is new in every step.
        bank: draws latents, patches and all that is seen of the source, where these are of a bank; see `bank_rng`.
    """
    again = rng if bank is None else bank
    state = hashlib.sha256(again.get_state().numpy().tobytes()).hexdigest()
    drawn = f"{state} {config.batch_size} {config.style_mixing} {config.patch_directional_weight > 0}"
    ws = draw_ws(config.batch_size, generator, again, config.style_mixing)
    source, target = (draw_render_inputs(config.batch_size, generator, guide, drawing) for drawing in (again, rng))
    if config.patch_directional_weight == 0:
        return StepInputs(ws, source, target, drawn=drawn)
    patches = draw_patches(config.batch_size, generator.resolution, guide.views.noise, again)
    return StepInputs(ws, source, target, patches, drawn=drawn)


def bank_rng(config: AdaptConfig, seed: int, index: int) -> torch.Generator | None:
    """What draws the batch of the bank that step `index` meets, the same each time; None where there is no bank.

    So nothing of a bank is kept but what the guide saw of it, and a state need not hold it.
    """
    if config.latent_bank == 0:
        return None
    batch = index % (config.latent_bank // config.batch_size)
    digest = hashlib.sha256(f"batch {batch} of the latent bank of seed {seed}".encode()).digest()
    return seeded_rng(int.from_bytes(digest[:8], "big"))
