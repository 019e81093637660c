"""What of a generator learns: what the optimiser sees, what is averaged, and what a row keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nada.generators.protocol import Generator, Layer
from nada.methods.adapt.config import AdaptConfig


class FullWeights:
    """The weights themselves: of convolutions, of toRGB, or of both (`adapt.train`).

    Args:
        generator: trained in place.
        config: says which weights learn, and how they are averaged.
    """

    def __init__(self, generator: Generator, config: AdaptConfig) -> None:
        self.generator = generator
        self.trains_convs = config.train != "rgb"
        self.rgb = [] if config.train == "convs" else generator.rgb_weights()
        convs = [weight for layer in generator.conv_layers() for weight in layer.weights]
        self.learnable: list[nn.Parameter] = convs + self.rgb if self.trains_convs else self.rgb
        self.average = WeightAverage(self.learnable, config.ema)

    def train_only(self, layers: Sequence[Layer]) -> None:
        """Let gradients reach the chosen convolutions and toRGB, if that learns, and nothing else."""
        self.freeze()
        for parameter in [*(weight for layer in layers for weight in layer.weights), *self.rgb]:
            parameter.requires_grad_(True)

    def freeze(self) -> None:
        """Let gradients reach nothing."""
        for parameter in self.generator.parameters():
            parameter.requires_grad_(False)

    def named(self) -> list[tuple[str, nn.Parameter]]:
        """What learns, with its names in the generator."""
        names = {parameter: name for name, parameter in self.generator.named_parameters()}
        return [(names[weight], weight) for weight in self.learnable]

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of what learns, by name, as it is."""
        return {name: weight.detach().clone() for name, weight in self.named()}

    @torch.no_grad()
    def restore(self, weights: Mapping[str, Tensor]) -> bool:
        """Take back what `snapshot` returned after some step; whether it is finite."""
        for name, weight in self.named():
            weight.copy_(weights[name])
        return all(bool(weight.isfinite().all()) for weight in self.learnable)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the generator is what it would be if training ended here; afterwards training can go on."""
        self.average.swap()
        try:
            yield
        finally:
            self.average.swap()


class WeightAverage:
    """Exponential moving average of weights, started from their first values.

    With decay 0 it is the weights themselves.
    """

    def __init__(self, weights: list[nn.Parameter], decay: float) -> None:
        self._weights = weights
        self._decay = decay
        self.tensors = [weight.detach().clone() for weight in weights] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the weights by 1 - decay."""
        for average, weight in zip(self.tensors, self._weights, strict=False):
            average.lerp_(weight, 1 - self._decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights and their average; twice leaves everything as it was."""
        for average, weight in zip(self.tensors, self._weights, strict=False):
            kept = weight.clone()
            weight.copy_(average)
            average.copy_(kept)
