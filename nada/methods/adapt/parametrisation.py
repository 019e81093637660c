"""What of a generator learns: what the optimiser sees, what is averaged, and what a row keeps."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nada.generators.light.generator import LightGenerator
from nada.generators.light.moves import NEUTRAL, Kind, StyleMoves
from nada.generators.protocol import Generator, Layer
from nada.generators.registry import Network
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.layer_selection import eligible_layers


def begin_target(source: Network | LightGenerator, config: AdaptConfig) -> Network | LightGenerator:
    """What is trained: a copy of the source, or its networks with styles of its own.

    Args:
        source: the frozen generator; where weights learn, not a light one.
        config: says what learns.
    """
    if config.parameters == "full":
        return copy.deepcopy(source)
    base, moves = (source.base, source.moves) if isinstance(source, LightGenerator) else (source, StyleMoves())
    return LightGenerator(base, moves)


def parametrise(target: Generator, config: AdaptConfig) -> Parametrisation:
    """What of a target learns, as `adapt.parameters` says."""
    if config.parameters == "full":
        return FullWeights(target, config)
    assert isinstance(target, LightGenerator), "see `begin_target`"
    return LightWeights(target, config)


class Parametrisation(ABC):
    """What learns.

    Args:
        names: of what learns.
        learnable: the same, for the optimiser.
        config: how it is averaged, and whether convolutions are among it.
    """

    def __init__(self, names: Sequence[str], learnable: Sequence[nn.Parameter], config: AdaptConfig) -> None:
        self.names, self.learnable = list(names), list(learnable)
        self.trains_convs = config.train != "rgb"
        self.average = WeightAverage(self.learnable, config.ema)

    @abstractmethod
    def train_only(self, layers: Sequence[Layer]) -> None:
        """Let gradients reach the chosen convolutions and toRGB, if that learns, and nothing else."""

    @abstractmethod
    def freeze(self) -> None:
        """Let gradients reach nothing."""

    def begin_step(self, done: int) -> None:  # noqa: B027  # most have nothing to do here
        """Before each step, and so after a state was restored.

        Args:
            done: steps so far.
        """

    def end_step(self) -> None:
        """After each update."""
        self.average.update()

    def named(self) -> list[tuple[str, nn.Parameter]]:
        """What learns, with its names."""
        return list(zip(self.names, self.learnable, strict=True))

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


class FullWeights(Parametrisation):
    """The weights themselves: of convolutions, of toRGB, or of both (`adapt.train`); named as in the generator.

    Args:
        generator: trained in place.
        config: says which weights learn, and how they are averaged.
    """

    def __init__(self, generator: Generator, config: AdaptConfig) -> None:
        self.generator = generator
        self.rgb = [] if config.train == "convs" else generator.rgb_weights()
        convs = [weight for layer in generator.conv_layers() for weight in layer.weights]
        learnable = convs + self.rgb if config.train != "rgb" else self.rgb
        names = {parameter: name for name, parameter in generator.named_parameters()}
        super().__init__([names[weight] for weight in learnable], learnable, config)

    def train_only(self, layers: Sequence[Layer]) -> None:
        """See `Parametrisation`."""
        self.freeze()
        for parameter in [*(weight for layer in layers for weight in layer.weights), *self.rgb]:
            parameter.requires_grad_(True)

    def freeze(self) -> None:
        """See `Parametrisation`."""
        for parameter in self.generator.parameters():
            parameter.requires_grad_(False)


class LightWeights(Parametrisation):
    """A number for each channel of the styles, the same for every latent, of convolutions, toRGB, or both.

    HyperDomainNet's multipliers (arXiv:2210.08884), 1 at the start, or StyleDomain's offsets (arXiv:2212.10229), 0 at
    the start; of a source that is light itself they start at the source's. Named `multiplier.LAYER`, `offset.LAYER`.

    Args:
        generator: its moves learn; its networks are shared and never touched.
        config: says what learns, how it is averaged, and how few numbers are kept.
    """

    def __init__(self, generator: LightGenerator, config: AdaptConfig) -> None:
        self.kind: Kind = "multiplier" if config.parameters == "modulation" else "offset"
        self.sparsity = config.sparsity
        self.sparse_from = max(1, math.floor(config.sparse_from * config.iterations))
        self.given_up: list[Tensor] = []
        """Of each weight, where it stays neutral from now on."""
        convs = [] if config.train == "rgb" else [layer.name for layer in eligible_layers(config.selection, generator)]
        self.rgb = [layer.name for layer in generator.style_layers() if layer.is_rgb and config.train != "convs"]
        widths = {layer.name: layer.num_channels for layer in generator.style_layers()}
        before, device = generator.moves.of(self.kind), next(generator.parameters()).device
        self.by_layer: dict[str, nn.Parameter] = {}
        for name in [*convs, *self.rgb]:
            start = before.get(name, torch.full((widths[name],), NEUTRAL[self.kind], device=device))
            self.by_layer[name] = nn.Parameter(start.clone(), requires_grad=False)
        generator.moves = generator.moves.with_(self.kind, {**before, **self.by_layer})
        super().__init__([f"{self.kind}.{name}" for name in self.by_layer], list(self.by_layer.values()), config)

    def train_only(self, layers: Sequence[Layer]) -> None:
        """See `Parametrisation`."""
        self.freeze()
        for name in [*(layer.name for layer in layers), *self.rgb]:
            self.by_layer[name].requires_grad_(True)

    def freeze(self) -> None:
        """See `Parametrisation`."""
        for parameter in self.learnable:
            parameter.requires_grad_(False)

    def begin_step(self, done: int) -> None:
        """See `Parametrisation`; a sparse row gives up most numbers at `sparse_from`, and the others learn on."""
        if self.sparsity == 0 or self.given_up or done < self.sparse_from:
            return
        values = self.snapshot()
        if done == self.sparse_from:  # later than that they were given up before a state was saved
            values = sparse(values, NEUTRAL[self.kind], self.sparsity)
        self.given_up = [value == NEUTRAL[self.kind] for value in values.values()]
        self._give_up()

    def end_step(self) -> None:
        """See `Parametrisation`."""
        super().end_step()
        if self.given_up:
            self._give_up()

    @torch.no_grad()
    def _give_up(self) -> None:
        for tensors in (self.learnable, self.average.tensors):
            for tensor, given_up in zip(tensors, self.given_up, strict=False):
                tensor.masked_fill_(given_up, NEUTRAL[self.kind])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """See `Parametrisation`; of a sparse row with those numbers alone that it would keep."""
        with super().averaged():
            whole = self.snapshot()
            self.restore(sparse(whole, NEUTRAL[self.kind], self.sparsity))
            try:
                yield
            finally:
                self.restore(whole)


def sparse(values: Mapping[str, Tensor], neutral: float, sparsity: float) -> dict[str, Tensor]:
    """The values that are furthest from neutral, the others neutral.

    >>> sparse({"b4": torch.tensor([0.1, -3.0]), "b8": torch.tensor([2.0])}, 0.0, 0.5)
    {'b4': tensor([ 0., -3.]), 'b8': tensor([2.])}

    Args:
        values: [C] by name.
        neutral: what changes nothing.
        sparsity: share of all that becomes neutral, rounded down.
    """
    flat = torch.cat(list(values.values()))
    given_up = (flat - neutral).abs().argsort(stable=True)[: math.floor(sparsity * len(flat))]
    kept = torch.split(flat.index_fill(0, given_up, neutral), [len(value) for value in values.values()])
    return dict(zip(values, kept, strict=True))


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
