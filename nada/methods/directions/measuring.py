"""How much every channel of the style space matters, and in which direction of CLIP space: the slow part, done once.

StyleCLIP (arXiv:2103.17249), section 6, "channel relevance". A channel c is set to mean_c - k std_c and to
mean_c + k std_c in the styles of N latents, both are rendered and embedded, and

    R_c = normalise(mean_n normalise(E(G(s_n with c up)) - E(G(s_n with c down))))

Legend: N pictures, K channels, C channels of one layer, D CLIP width, L style layers, W_DIM latent width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.clip.guide import Guide
from nada.clip.model import ClipModel
from nada.errors import ParamsError
from nada.generators.protocol import Generator, StyleLayer, Styles
from nada.generators.registry import Network
from nada.latents import draw_z, seeded_rng
from nada.methods.directions.channels import Channels
from nada.methods.directions.config import ChannelsConfig
from nada.micro_batch import MicroBatch

LATENTS_SEED = 20_210_331  # the same latents for every channel and guide, so that relevances compare
STATISTICS_BATCH = 1000  # latents at once, of which only styles are computed
PIXELS_AT_ONCE = 1 << 20  # rendered; more at once are no faster, and take a GiB each
MOST_AT_ONCE = 64  # pictures
STILL = 1e-4
"""Embeddings nearer to each other than this may differ by rounding alone: no direction to stretch to unit length."""


def moving_layers(generator: Generator, config: ChannelsConfig) -> list[StyleLayer]:
    """The layers whose channels are measured, and may move.

    Raises:
        ParamsError: there is none.
    """
    layers = generator.style_layers()
    moving = [layer for layer in layers if config.covers(layer.resolution, layer.is_rgb)]
    if not moving:
        coarsest = min(layer.resolution for layer in layers if config.layers != "rgb" or layer.is_rgb)
        raise ParamsError(
            f"directions.channels.max_resolution is {config.max_resolution}, and the coarsest style layer of this "
            f"generator has {coarsest} px; give that or more"
        )
    return moving


def mean_direction(emb_down: Tensor, emb_up: Tensor) -> Tensor:
    """Where pictures go when a channel is turned up.

    Args:
        emb_down: embeddings with the channel far down, [K, N, D], unit norm.
        emb_up: of the same latents with the channel far up.

    Returns:
        [K, D], unit norm; zero where no picture moves.
    """
    edits = emb_up - emb_down
    lengths = edits.norm(dim=2, keepdim=True)
    edits = (edits / lengths).where(lengths >= STILL, 0)
    return F.normalize(edits.mean(dim=1), dim=1)


class Measuring:
    """Renders a generator's pictures with channels set far off, for several CLIPs at once.

    Args:
        generator: whose style space it is.
        clips: that look at the pictures.
        config: how many pictures, how far off.
        micro_batch: pictures at once, at most.
    """

    def __init__(
        self, generator: Network, clips: Sequence[ClipModel], config: ChannelsConfig, micro_batch: int | None = None
    ) -> None:
        self.generator, self.clips, self.config = generator, clips, config
        self.layers = {layer.name: layer.num_channels for layer in moving_layers(generator, config)}
        at_once = min(MOST_AT_ONCE, PIXELS_AT_ONCE // generator.resolution**2, micro_batch or MOST_AT_ONCE)
        self._micro_batch = MicroBatch(max(1, at_once))

    @cached_property
    def statistics(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Mean and standard deviation of every channel over latents, [C] by layer."""
        rng, count = seeded_rng(LATENTS_SEED), self.config.num_samples
        totals = {name: torch.zeros(2, num, dtype=torch.float64) for name, num in self.layers.items()}
        for start in range(0, count, STATISTICS_BATCH):
            styles = self._styles(min(STATISTICS_BATCH, count - start), rng)
            for name, total in totals.items():
                s = styles[name].cpu().double()
                total += torch.stack([s.sum(dim=0), s.square().sum(dim=0)])
        moments = {name: total / count for name, total in totals.items()}
        means = {name: first for name, (first, _) in moments.items()}
        stds = {name: (second - first.square()).clamp(min=0).sqrt() for name, (first, second) in moments.items()}
        return {name: mean.float() for name, mean in means.items()}, {name: std.float() for name, std in stds.items()}

    @cached_property
    def _pictured(self) -> Styles:
        """The styles of the N latents that are rendered."""
        return self._styles(self.config.num_images, seeded_rng(LATENTS_SEED + 1))

    @torch.no_grad()
    def _styles(self, count: int, rng: torch.Generator) -> Styles:
        ws = self.generator.mapping(draw_z(count, self.generator, rng), self.config.truncation_psi)
        return self.generator.synthesis.styles(ws)

    def num_pictures(self, num_channels: int) -> int:
        """What the relevance of so many channels renders."""
        return 2 * self.config.num_images * num_channels

    @torch.no_grad()
    def relevance(self, layer: str, channels: range) -> list[Tensor]:
        """R_c of some channels of one layer, [K, D] a CLIP, on the CPU.

        Raises:
            OutOfMemoryError: not even one picture fits.
        """
        num_images, pictured = self.config.num_images, self._pictured
        means, stds = (of[layer].to(pictured[layer]) for of in self.statistics)
        order = torch.arange(self.num_pictures(len(channels)), device=means.device)
        image, case = order % num_images, order // num_images  # channel by channel, down and then up, all latents each
        channel, sign = channels.start + case // 2, 2 * (case % 2) - 1
        values = means[channel] + sign * self.config.sigmas * stds[channel]

        def embed(part: slice) -> list[Tensor]:
            styles = {name: s[image[part]] for name, s in pictured.items()}
            styles[layer][torch.arange(len(channel[part])), channel[part]] = values[part]
            img = self.generator.synthesis.from_styles(styles)
            return [clip.embed_images(img).cpu() for clip in self.clips]

        parts = list(self._micro_batch.each("measuring channels", len(order), embed))
        found = []
        for embs in zip(*parts, strict=True):
            emb = torch.cat(embs).view(len(channels), 2, num_images, -1)  # [K, 2, N, D]
            found.append(mean_direction(emb[:, 0], emb[:, 1]))
        return found


def measure_channels(generator: Network, guide: Guide, config: ChannelsConfig) -> list[Channels]:
    """Everything at once, in memory: what is known of every channel, one `Channels` a model of the guide.

    Minutes for a small generator, hours for a large one; `nada prepare` keeps it, and survives a break.

    Raises:
        OutOfMemoryError: not even one picture fits.
        ParamsError: no layer is as coarse as the settings ask.
    """
    measuring = Measuring(generator, guide.models, config)
    rows = [measuring.relevance(name, range(num)) for name, num in measuring.layers.items()]
    means, stds = (torch.cat(list(of.values())) for of in measuring.statistics)
    return [Channels(measuring.layers, means, stds, torch.cat(of_clip)) for of_clip in zip(*rows, strict=True)]
