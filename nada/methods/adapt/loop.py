"""The adaptation of a generator to a text (StyleGAN-NADA, arXiv:2108.00946), as an iterator.

It never logs, saves or prints: whoever drives it does.
Legend: N batch, L style layers, W_DIM latent width, D CLIP width, R resolution in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from nada.clip.augmentations import Augmentations
from nada.clip.goal import Goal
from nada.clip.guide import Guide
from nada.errors import NonFiniteLossError
from nada.generators.protocol import Generator, Layer, NoiseMaps, Synthesis
from nada.latents import seeded_rng
from nada.methods.adapt import state
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.layer_selection import is_time_to_select, select_layers
from nada.methods.adapt.objective.elastic import ElasticWeights, fisher_information
from nada.methods.adapt.objective.precision import draw_pictures
from nada.methods.adapt.objective.source_embeddings import Embeddings, SourceEmbeddings, Tally
from nada.methods.adapt.objective.terms import Embs, Objective, Seen
from nada.methods.adapt.objective.textures import textures
from nada.methods.adapt.parametrisation import parametrise
from nada.methods.adapt.step_inputs import StepInputs, bank_rng, draw_step_inputs
from nada.methods.adapt.trace import TrainingStep
from nada.micro_batch import MicroBatch

BETA1 = 0.0  # StyleGAN2 trains without momentum


class Adaptation:
    """Trains `target`, a copy of `source`, until its pictures differ from the source's as the texts differ.

    Iterate over it: it yields one `TrainingStep` an iteration, after the weights were updated. The target is whole
    after every step, and holds the averaged weights (if any) once the iteration ends; whoever leaves it earlier calls
    `end`. Between two steps `state_dict` takes everything that the rest depends on; an Adaptation built from the
    same arguments goes on from it to the same bytes.

    Args:
        source: the frozen generator.
        target: trained in place; of `nada.methods.adapt.parametrisation.begin_target`.
        guide: the CLIP models that judge each step.
        goal: what its pictures shall come to, such as a pair of texts.
        config: how long, how fast, which layers, which losses.
        seed: of every random number; the same seed on the same machine gives the same weights.
        micro_batch: pictures that are trained on at once, at most; by default all of a step's. Gradients add up
            to those of the whole batch but for rounding, and the random numbers are the same.
        known: what the guide saw of the source so far, shared with adaptations of the same source and guide.

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
        goal: Goal,
        config: AdaptConfig,
        seed: int,
        micro_batch: int | None = None,
        known: SourceEmbeddings | None = None,
    ) -> None:
        self.source, self.target, self.guide, self.config = source, target, guide, config
        self.seed, self.rng = seed, seeded_rng(seed)
        self.emb_bare = goal.places(guide)  # ranks the layers
        self.parameters = parametrise(target, config)
        self.optimizer = torch.optim.Adam(
            self.parameters.learnable, lr=config.learning_rate, betas=(BETA1, config.beta2)
        )
        self.micro_batch = MicroBatch(micro_batch or config.most_pictures)
        self.objective = Objective(goal, guide, config, self._elastic(seed) if config.elastic_weight else None)
        self.known, self.tally = known or SourceEmbeddings(), Tally()
        self._layers: list[Layer] = []
        self._rest: Seen | None = None
        self.trace: list[TrainingStep] = []

    @property
    def loss_weights(self) -> dict[str, float]:
        """Of every term."""
        return self.objective.weights

    def __iter__(self) -> Iterator[TrainingStep]:
        for _ in range(len(self.trace), self.config.iterations):
            inputs = self.begin_step()
            # The edit of each picture should point along the edit of the text; `losses` says how.
            terms = self.micro_batch.backward("training", inputs, self.losses, self.optimizer)
            yield self.end_step(terms)
        self.end()

    def begin_step(self) -> StepInputs:
        """What a step is taken on; what learns in it takes gradients from here on."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * lr_factor(len(self.trace), config)

        # Train only the layers that the target text moves most (section 4.2 of the paper).
        self.parameters.begin_step(len(self.trace))
        batch = self.draw_inputs() if config.selection.latents == "batch" else None
        self._layers = self.choose_layers(batch)
        self.parameters.train_only(self._layers)

        # Draw latents, and how they are seen before and after the change: with noise and views apart.
        return self.draw_inputs() if batch is None else batch

    def end_step(self, terms: dict[str, Tensor]) -> TrainingStep:
        """Move what learns along the gradients of these `losses`.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite.
        """
        index, loss = len(self.trace), terms.pop("loss")
        if not loss.isfinite():
            raise NonFiniteLossError(
                f"step {index}: the loss is {loss.item()}; try a smaller adapt.learning_rate "
                f"(now {self.config.learning_rate})"
            )
        self.optimizer.step()
        self.parameters.end_step()
        self.trace.append(TrainingStep(index, loss, terms, tuple(layer.name for layer in self._layers)))
        return self.trace[-1]

    def draw_inputs(self) -> StepInputs:
        """Everything random of the next step but the search for layers."""
        bank = bank_rng(self.config, self.seed, len(self.trace))
        return draw_step_inputs(self.config, self.source, self.guide, self.rng, bank)

    def choose_layers(self, batch: StepInputs | None = None) -> list[Layer]:
        """The convolutions of this step, by its own batch or by a fresh one; none where toRGB alone learns."""
        if not self.parameters.trains_convs:
            return []
        if not is_time_to_select(self.config.selection, len(self.trace)):
            return [layer for layer in self.target.conv_layers() if layer.name in self.trace[-1].layers]
        self.parameters.freeze()  # the search follows w+ alone: without this it pays for every weight's gradient
        config, precision = self.config.selection, self.config.precision
        random = self.rng, self.micro_batch
        return select_layers(self.target, self.guide, self.emb_bare, config, *random, batch, precision)

    def losses(self, inputs: StepInputs) -> dict[str, Tensor]:
        """The terms that the configuration asks for, and `loss`, their weighted sum; see `objective.terms`.

        That of the paper is L = 1 - <dI, dT> / (|dI| |dT|), with dI the edit of each picture and dT that of the text.
        """
        seen = self.see(inputs)
        if inputs.whole is None or not self.objective.is_of_batches:
            return self.objective(seen)
        if inputs.start == 0 or self._rest is None:  # of this step; the weights stay while its parts add up
            with torch.no_grad():
                self._rest = Seen.joined([self.see(part) for part in inputs.whole.split(len(inputs))])
        return self.objective(seen, self._rest.with_part(inputs.place, seen), inputs.share)

    def see(self, inputs: StepInputs) -> Seen:
        """Render the same latents before and after the change, and see them through CLIP."""
        img_target = self.draw(self.target.synthesis, inputs.ws, inputs.target.noise)
        patches = None if inputs.patches is None else inputs.patches[1]
        return self.beside_source(inputs, *self.see_target(img_target, inputs.target.views, patches))

    def draw(self, synthesis: Synthesis, ws: Tensor, noise: NoiseMaps) -> Tensor:
        """ws [N, L, W_DIM] -> img [N, 3, R, R], as exactly as the configuration asks for."""
        return draw_pictures(synthesis, ws, noise, self.config.precision)

    def see_target(self, img: Tensor, views: Augmentations, patches: Augmentations | None) -> tuple[Embs, Embs, Embs]:
        """What the losses ask of pictures after the change: embeddings [N, D], of patches too, and textures [N, F]."""
        embs = self.guide.embed_images(img, views)
        of_patches = [] if patches is None else self.guide.embed_images(img, patches)
        has_textures = self.config.texture_weight > 0
        return embs, of_patches, [textures(model, img) for model in self.guide.models] if has_textures else []

    def beside_source(self, inputs: StepInputs, target: Embs, target_patches: Embs, target_textures: Embs) -> Seen:
        """What `see_target` says, with what was seen before the change by whoever met these latents first."""
        # The last bits depend on how many are computed together.
        key = inputs.drawn, inputs.start, len(inputs), self.config.precision
        emb_source, source_patches = self.known.find(key, lambda: self.see_source(inputs), self.tally)
        return Seen(emb_source, target, source_patches, target_patches, target_textures)

    @torch.no_grad()
    def see_source(self, inputs: StepInputs) -> Embeddings:
        """The same of the frozen generator, which does not change."""
        img_source = self.draw(self.source.synthesis, inputs.ws, inputs.source.noise)
        patches = None if inputs.patches is None else inputs.patches[0]
        source_patches = [] if patches is None else self.guide.embed_images(img_source, patches)
        return self.guide.embed_images(img_source, inputs.source.views), source_patches

    def _elastic(self, seed: int) -> ElasticWeights:
        """Of the target as it starts, by random numbers of its own: a state that is restored later changes nothing."""
        weights = self.parameters.learnable
        fisher = fisher_information(self.target, self.guide, weights, seeded_rng(seed), self.micro_batch)
        return ElasticWeights(weights, fisher)

    def end(self, weights: Mapping[str, Tensor] | None = None) -> None:
        """Give the target its last weights, and train no more.

        Args:
            weights: what `parameters.snapshot` returned after some step; by default the average of now.

        Raises:
            NonFiniteLossError: they are not finite.
        """
        if weights is None:
            with self.parameters.averaged():
                weights = self.parameters.snapshot()
        if not self.parameters.restore(weights):
            raise NonFiniteLossError(
                f"step {len(self.trace) - 1}: the last update left weights that are not finite; "
                f"try a smaller adapt.learning_rate (now {self.config.learning_rate})"
            )
        self.parameters.freeze()

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the next steps depend on, and the trace, by name; see `nada.methods.adapt.state`."""
        return state.capture(self)

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Go on from a state.

        Raises:
            StateError: it is not a state of an adaptation like this one; nothing was changed.
        """
        state.restore(self, tensors)


def lr_factor(index: int, config: AdaptConfig) -> float:
    """Share of the learning rate at a step: 1, or from 1 down to 0 along half a cosine.

    >>> lr_factor(50, AdaptConfig(iterations=100, decay="cosine"))
    0.5
    """
    if config.decay == "constant":
        return 1.0
    return round(0.5 * (1 + math.cos(math.pi * index / config.iterations)), 12)
