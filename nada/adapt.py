"""The adaptation of a generator to a text (StyleGAN-NADA, arXiv:2108.00946), as an iterator.

It never logs, saves or prints: whoever drives it does.
Legend: N batch, L style layers, W_DIM latent width, D CLIP width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nada.config import AdaptConfig
from nada.draws import draw_batch
from nada.errors import NonFiniteLossError
from nada.generator import Generator
from nada.guide import Guide, PromptPair
from nada.latents import seeded_rng
from nada.layers import select_layers, train_only, trainable_rgb
from nada.losses import directional_loss, global_loss

BETA1 = 0.0  # StyleGAN2 trains without momentum


@dataclass(frozen=True)
class Step:
    """What happened in one step; tensors are detached, so reading them costs a device sync only when read."""

    index: int
    loss: Tensor
    terms: dict[str, Tensor]
    layers: tuple[str, ...]


def adapt(
    source: Generator, target: Generator, guide: Guide, pair: PromptPair, config: AdaptConfig, seed: int
) -> Iterator[Step]:
    """Train `target`, a copy of `source`, until its pictures differ from the source's as the texts differ.

    The target is whole after every step, and holds the averaged weights (if any) once the iterator ends.

    Args:
        source: the frozen generator.
        target: trained in place.
        guide: the CLIP models that judge each step.
        pair: the two texts.
        config: how long, how fast, which layers, which losses.
        seed: of every random number; the same seed on the same machine gives the same weights.

    Yields:
        One `Step` an iteration, after the weights were updated.

    Raises:
        NonFiniteLossError: a loss was NaN or infinite; the target's weights are then worthless.
    """
    rng = seeded_rng(seed)
    text_dirs = guide.text_directions(pair)
    emb_bare = guide.text_embeddings(pair.target)  # ranks the layers
    emb_article = guide.text_embeddings(f"a {pair.target}")  # is the goal of the global loss
    train_rgb = trainable_rgb(target, config)
    conv_weights = [weight for layer in target.conv_layers() for weight in layer.weights]
    candidates = train_rgb if config.train == "rgb" else conv_weights + train_rgb
    optimizer = torch.optim.Adam(candidates, lr=config.learning_rate, betas=(BETA1, config.beta2))
    average = WeightAverage(candidates, config.ema)

    for index in range(config.iterations):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * lr_factor(index, config)

        # Phase 1: train only the layers that the target text moves most.
        layers = [] if config.train == "rgb" else select_layers(target, guide, emb_bare, config.selection, rng)
        train_only(target, layers, train_rgb)

        # Phase 2: render the same latents before and after the change, each with noise and a view of its own.
        batch = draw_batch(config, source, guide, rng)
        with torch.no_grad():
            emb_source = batch.source.embed(source, guide, batch.ws)  # [N, D] a model
        emb_target = batch.target.embed(target, guide, batch.ws)

        # Phase 3: the image edit should point along the text edit.
        terms: dict[str, Tensor] = {}
        if config.directional_weight > 0:
            terms["directional"] = guide.weigh(map(directional_loss, emb_source, emb_target, text_dirs))
        if config.global_weight > 0:
            terms["global"] = guide.weigh(map(global_loss, emb_target, emb_article))
        shares = {"directional": config.directional_weight, "global": config.global_weight}
        loss = torch.stack([shares[name] * term for name, term in terms.items()]).sum()
        if not loss.isfinite():
            raise NonFiniteLossError(
                f"step {index}: the loss is {loss.item()}; try a smaller adapt.learning_rate "
                f"(now {config.learning_rate})"
            )

        optimizer.zero_grad(set_to_none=True)  # None: Adam skips frozen layers, state included
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        average.update()
        detached = {name: term.detach() for name, term in terms.items()}
        yield Step(index, loss.detach(), detached, tuple(layer.name for layer in layers))

    average.copy_to_weights()
    if not all(weight.isfinite().all() for weight in candidates):
        raise NonFiniteLossError(
            f"step {config.iterations - 1}: the last update left weights that are not finite; "
            f"try a smaller adapt.learning_rate (now {config.learning_rate})"
        )
    train_only(target, [], [])


def lr_factor(index: int, config: AdaptConfig) -> float:
    """Share of the learning rate at a step: 1, or from 1 down to 0 along half a cosine.

    >>> lr_factor(50, AdaptConfig(iterations=100, decay="cosine"))
    0.5
    """
    if config.decay == "constant":
        return 1.0
    return round(0.5 * (1 + math.cos(math.pi * index / config.iterations)), 12)


class WeightAverage:
    """Exponential moving average of weights, started from their first values.

    With decay 0 it is the weights themselves.
    """

    def __init__(self, weights: list[nn.Parameter], decay: float) -> None:
        self._weights = weights
        self._decay = decay
        self._average = [weight.detach().clone() for weight in weights] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the weights by 1 - decay."""
        for average, weight in zip(self._average, self._weights, strict=False):
            average.lerp_(weight, 1 - self._decay)

    @torch.no_grad()
    def copy_to_weights(self) -> None:
        """Replace the weights by their average."""
        for average, weight in zip(self._average, self._weights, strict=False):
            weight.copy_(average)
