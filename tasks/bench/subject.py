"""What is measured: the project's generator and guides, or networks of published size with random weights.

Time and memory depend on what the weights are no more than on what a picture shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from nada.clip.guide import Guide
from nada.clip.model import ClipModel
from nada.clip.open_clip_import import open_clip
from nada.generators.registry import Network, make_network, parse_architecture
from nada.methods.models import Clips, Models
from tasks.config.model import Params

CLIP = "ViT-B-32"
CHANNEL_BASE = 32768
"""Of StyleGAN2's config-f at every resolution."""
NOISE = 0.1


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A generator and what guides it."""

    resolution: int | None = None
    """Pixels of a generator of random weights, led by a ViT-B/32; None: the project's own."""
    family: str = "stylegan2"
    """Of that generator."""

    def describe(self, params: Params) -> str:
        """In words."""
        if self.resolution is not None:
            return f"{self.family} of {self.resolution} px (channel_base {CHANNEL_BASE}), {CLIP}, random weights"
        return f"{params.generator.weights}, {', '.join(model.name for model in params.guide.models)}"

    def models(self, params: Params, device: str) -> Models:
        """Loaded when they are first used.

        Raises:
            CheckpointError, GuideError: they cannot be.
        """
        clips = Clips(params.guide, params.judge, device)
        models = Models(Path(params.generator.weights), params.generator.weights, clips, params.samples)
        if params.night.micro_batch != "auto":
            models = replace(models, micro_batch=params.night.micro_batch)
        if self.resolution is None:
            return models
        random = RandomClips(params.guide, params.judge, device)
        return replace(models, clips=random, open_base=lambda: self.random_network(device))

    def random_network(self, device: str) -> Network:
        """Its noise is on.

        Raises:
            CheckpointError: no such family, or resolution.
        """
        torch.manual_seed(0)
        content = {"family": self.family, "resolution": self.resolution, "channel_base": CHANNEL_BASE}
        network = make_network(parse_architecture("--resolution", content))
        for name, parameter in network.named_parameters():
            if name.endswith("noise_strength"):
                parameter.data.fill_(NOISE)
        return network.eval().requires_grad_(False).to(device)


class RandomClips(Clips):
    """A ViT-B/32 of random weights in place of the guides."""

    @cached_property
    def guide(self) -> Guide:
        """It sees pictures as they are, as a large generator's guide does."""
        torch.manual_seed(0)
        model = open_clip.create_model(CLIP, pretrained_text=False, output_dict=True).to(self.device)
        return Guide([ClipModel(CLIP, model, open_clip.get_tokenizer(CLIP), True, None)], [1.0])
