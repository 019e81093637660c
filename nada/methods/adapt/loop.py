"""The adaptation of a generator to a text (StyleGAN-NADA, arXiv:2108.00946), as an iterator.

It never logs, saves or prints: whoever drives it does.
Legend: N batch, L style layers, W_DIM latent width, D CLIP width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.clip.losses import directional_loss, global_loss
from nada.errors import NonFiniteLossError
from nada.generators.protocol import Generator
from nada.latents import seeded_rng
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.layer_selection import select_layers, train_only, trainable_rgb
from nada.methods.adapt.state import Step, capture, restore, trained_weights
from nada.methods.adapt.step_inputs import Batch, draw_batch
from nada.micro_batch import MicroBatch

BETA1 = 0.0  # StyleGAN2 trains without momentum


class Adaptation:
    """Trains `target`, a copy of `source`, until its pictures differ from the source's as the texts differ.

    Iterate over it: it yields one `Step` an iteration, after the weights were updated. The target is whole after
    every step, and holds the averaged weights (if any) once the iteration ends; whoever leaves it earlier calls
    `end`. Between two steps `state_dict` takes everything that the rest depends on; an Adaptation built from the
    same arguments goes on from it to the same bytes.

    Args:
        source: the frozen generator.
        target: trained in place.
        guide: the CLIP models that judge each step.
        pair: the two texts.
        config: how long, how fast, which layers, which losses.
        seed: of every random number; the same seed on the same machine gives the same weights.
        micro_batch: pictures that are trained on at once, at most; by default all of a step's. Gradients add up
            to those of the whole batch but for rounding, and the random numbers are the same.

    Raises, while iterated over:
        NonFiniteLossError: a loss was NaN or infinite; the target's weights are then worthless.
        OutOfMemoryError: memory ran out with one picture at a time; before that, the micro-batch is halved and
            the step done again.
    """

    def __init__(
        self,
        source: Generator,
        target: Generator,
        guide: Guide,
        pair: PromptPair,
        config: AdaptConfig,
        seed: int,
        micro_batch: int | None = None,
    ) -> None:
        self.source, self.target, self.guide, self.config = source, target, guide, config
        self.rng = seeded_rng(seed)
        self.text_dirs = guide.text_directions(pair)
        self.emb_bare = guide.text_embeddings(pair.target)  # ranks the layers
        self.emb_article = guide.text_embeddings(f"a {pair.target}")  # is the goal of the global loss
        self.rgb = trainable_rgb(target, config)
        conv_weights = [weight for layer in target.conv_layers() for weight in layer.weights]
        self.candidates = self.rgb if config.train == "rgb" else conv_weights + self.rgb
        self.optimizer = torch.optim.Adam(self.candidates, lr=config.learning_rate, betas=(BETA1, config.beta2))
        self.average = WeightAverage(self.candidates, config.ema)
        weights = {"directional": config.directional_weight, "global": config.global_weight}
        self.loss_weights = {name: weight for name, weight in weights.items() if weight > 0}
        self.micro_batch = MicroBatch(micro_batch or max(config.batch_size, config.selection.batch_size))
        self.trace: list[Step] = []

    def __iter__(self) -> Iterator[Step]:
        source, target, guide, config = self.source, self.target, self.guide, self.config
        for index in range(len(self.trace), config.iterations):
            for group in self.optimizer.param_groups:
                group["lr"] = config.learning_rate * lr_factor(index, config)

            # Phase 1: train only the layers that the target text moves most.
            selected = partial(select_layers, target, guide, self.emb_bare, config.selection, self.rng)
            layers = [] if config.train == "rgb" else selected(self.micro_batch)
            train_only(target, layers, self.rgb)

            # Phase 2: draw latents, and how they are seen before and after the change: with noise and views apart.
            batch = draw_batch(config, source, guide, self.rng)

            # Phase 3: the image edit should point along the text edit.
            loss, terms = self.micro_batch.fit("training", len(batch), partial(self.accumulate_gradients, batch))
            if not loss.isfinite():
                raise NonFiniteLossError(
                    f"step {index}: the loss is {loss.item()}; try a smaller adapt.learning_rate "
                    f"(now {config.learning_rate})"
                )
            self.optimizer.step()
            self.average.update()
            self.trace.append(Step(index, loss, terms, tuple(layer.name for layer in layers)))
            yield self.trace[-1]

        with self.averaged():
            kept = self.weights()
        self.end(kept)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the target is what it would be if training ended here; afterwards training can go on."""
        self.average.swap()
        try:
            yield
        finally:
            self.average.swap()

    def weights(self) -> dict[str, Tensor]:
        """A copy of what is trained, by name, as it is."""
        return {name: weight.detach().clone() for name, weight in trained_weights(self)}

    @torch.no_grad()
    def end(self, weights: Mapping[str, Tensor]) -> None:
        """Give the target its last weights, which `weights` returned after some step, and train no more.

        Raises:
            NonFiniteLossError: they are not finite.
        """
        for name, weight in trained_weights(self):
            weight.copy_(weights[name])
        if not all(weight.isfinite().all() for weight in self.candidates):
            raise NonFiniteLossError(
                f"step {len(self.trace) - 1}: the last update left weights that are not finite; "
                f"try a smaller adapt.learning_rate (now {self.config.learning_rate})"
            )
        train_only(self.target, [], [])

    def accumulate_gradients(self, batch: Batch, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Gradients of the loss over a batch, `size` samples at a time; returns the loss and its terms.

        Every loss is a mean over samples, so a micro-batch counts by its share of them.
        """
        self.optimizer.zero_grad(set_to_none=True)  # None: Adam skips frozen layers, state included
        totals: dict[str, Tensor] = {}
        for part in batch.split(size):
            with torch.no_grad():
                emb_source = part.source.embed(self.source, self.guide, part.ws)  # [N, D] a model
            emb_target = part.target.embed(self.target, self.guide, part.ws)
            terms = self.losses(emb_source, emb_target)
            share = len(part) / len(batch)
            (share * terms["loss"]).backward()  # type: ignore[no-untyped-call]
            for name, term in terms.items():
                totals[name] = totals.get(name, 0) + share * term.detach()
        return totals.pop("loss"), totals

    def losses(self, emb_source: list[Tensor], emb_target: list[Tensor]) -> dict[str, Tensor]:
        """The terms that the configuration asks for, and `loss`, their weighted sum."""
        terms: dict[str, Tensor] = {}
        if "directional" in self.loss_weights:
            terms["directional"] = self.guide.weigh(map(directional_loss, emb_source, emb_target, self.text_dirs))
        if "global" in self.loss_weights:
            terms["global"] = self.guide.weigh(map(global_loss, emb_target, self.emb_article))
        weighted = [weight * terms[name] for name, weight in self.loss_weights.items()]
        return {**terms, "loss": torch.stack(weighted).sum()}

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the next steps depend on, and the trace, by name; see `nada.methods.adapt.state`."""
        return capture(self)

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Go on from a state.

        Raises:
            StateError: it is not a state of an adaptation like this one; nothing was changed.
        """
        restore(self, tensors)


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
