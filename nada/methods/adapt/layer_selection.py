"""Which convolutions learn: those that the target text moves most (section 4.2 of the paper), or a fixed set.

The fixed sets are those of the reference implementation's `--phase`, by the position of a convolution, coarsest first,
so that they are the same in every family. In a StyleGAN2 (and a MobileStyleGAN, which ends at half its size):

| `selection.layers` | convolutions | at       |
|--------------------|--------------|----------|
| `shape`            | 1-3          | 4, 8 px  |
| `shape-expanded`   | 1-4          | 4, 8 px, and the first at 16 px |
| `texture`          | 1 and 4-11   | 4 px, 16 to 128 px |
| `no-fine`          | 1-11         | 4 to 128 px |
| `all`              | every one    |          |

The reference trains modulation, noise strength and the constant input of these as well; here weights and biases learn.
Legend: N batch, L style layers, W_DIM latent width.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from nada.clip.guide import Guide
from nada.clip.losses import global_loss
from nada.errors import ParamsError
from nada.generators.protocol import Generator, Layer
from nada.latents import draw_ws
from nada.methods.adapt.config import LayerSet, Precision, SelectionConfig
from nada.methods.adapt.objective.precision import draw_pictures
from nada.methods.adapt.step_inputs import RenderInputs, StepInputs, draw_render_inputs
from nada.micro_batch import MicroBatch, parts

LAYER_SETS: dict[LayerSet, frozenset[int]] = {
    "shape": frozenset(range(3)),
    "shape-expanded": frozenset(range(4)),
    "texture": frozenset({0, *range(3, 11)}),
    "no-fine": frozenset(range(11)),
}
"""Positions from 0, as `Generator.conv_layers` orders them."""


def eligible_layers(config: SelectionConfig, generator: Generator) -> list[Layer]:
    """The convolutions that may train, lowest resolution first.

    Raises:
        ParamsError: none is as fine as `min_resolution`, or none of the fixed set is.
    """
    fine = {layer.name for layer in generator.style_layers() if layer.resolution >= config.min_resolution}
    layers = [layer for layer in generator.conv_layers() if layer.name in fine]
    if layers and config.layers != "all":
        in_set = {layer.name for i, layer in enumerate(generator.conv_layers()) if i in LAYER_SETS[config.layers]}
        layers = [layer for layer in layers if layer.name in in_set]
        if not layers:
            problem = f"none of {config.layers!r} is of {config.min_resolution} px (selection.min_resolution) or more"
            raise ParamsError(f"selection.layers: {problem}; lower that, or choose another set")
    if not layers:
        finest = max(layer.resolution for layer in generator.style_layers() if not layer.is_rgb)
        problem = f"{config.min_resolution}; the finest convolution is of {finest} px"
        raise ParamsError(f"selection.min_resolution: {problem}")
    return layers


def num_selected(config: SelectionConfig, generator: Generator) -> int:
    """How many convolutions train per step.

    `auto` is two thirds of the rows of ws, rounded down. For StyleGAN2 that is the published
    int(2 (2 log2(R) - 2) / 3): 12, 10, 9 at 1024, 512, 256 px; for a StyleGAN3 of 14 convolutions it is 10.

    Raises:
        ParamsError: more layers than the generator has.
    """
    count = len(eligible_layers(config, generator))
    if config.k == "all":
        return count
    if config.k == "auto":
        return min(count, 2 * generator.num_ws // 3)
    chosen = config.k
    if chosen > count:
        raise ParamsError(f"selection.k: {chosen} layers of {count}; at most {count}, or 'all'")
    return chosen


def is_time_to_select(config: SelectionConfig, index: int) -> bool:
    """Whether the k layers are chosen anew before step `index`; otherwise those of the step before stay.

    >>> [index for index in range(7) if is_time_to_select(SelectionConfig(every=3), index)]
    [0, 3, 6]
    """
    return index == 0 if config.every == "once" else index % config.every == 0


def select_layers(
    generator: Generator,
    guide: Guide,
    emb_text: list[Tensor],
    config: SelectionConfig,
    rng: torch.Generator,
    micro_batch: MicroBatch,
    batch: StepInputs | None = None,
    precision: Precision = "float32",
) -> list[Layer]:
    """The k convolutions whose w moves most when w+ follows the global loss, lowest resolution first.

    A row of ws that drives no convolution, but toRGB or the input, is not eligible. One gradient step
    of plain SGD moves w+ by the gradient times a constant, so its rank is that of the mean absolute gradient.

    Args:
        generator: the generator in training.
        guide: scores its pictures.
        emb_text: one embedding [D] a guide model of the bare target text.
        config: k, batch size, iterations and learning rate of the search.
        rng: draws latents, noise and views, where they are fresh.
        micro_batch: pictures at once.
        batch: ranks by its latents, with its target's noise and views, in place of fresh ones.
        precision: of the search's pictures.
    """
    layers = eligible_layers(config, generator)
    k = num_selected(config, generator)
    if k == len(layers):
        return layers
    start = draw_ws(config.batch_size, generator, rng) if batch is None else batch.ws
    w_plus = start.clone()
    for _ in range(config.iterations):
        random = draw_render_inputs(len(start), generator, guide, rng) if batch is None else batch.target
        gradient = partial(gradient_of_w_plus, generator, guide, emb_text, w_plus, random, precision)
        w_plus = w_plus - config.learning_rate * micro_batch.fit("layer selection", len(w_plus), gradient)
    movement = (w_plus - start).abs().mean(dim=(0, 2))  # [L]
    ranked = sorted(layers, key=lambda layer: -float(movement[layer.ws_index]))
    return sorted(ranked[:k], key=lambda layer: layer.ws_index)


def gradient_of_w_plus(
    generator: Generator,
    guide: Guide,
    emb_text: list[Tensor],
    w_plus: Tensor,
    random: RenderInputs,
    precision: Precision,
    size: int,
) -> Tensor:
    """Gradient of the global loss with respect to w+, [N, L, W_DIM], `size` samples at a time."""
    gradients: list[Tensor] = []
    for part in parts(len(w_plus), size):
        w_plus_part = w_plus[part].requires_grad_(True)
        seen = random[part]
        img = draw_pictures(generator.synthesis, w_plus_part, seen.noise, precision)
        emb = guide.embed_images(img, seen.views)
        loss = guide.weigh(map(global_loss, emb, emb_text)) * (len(w_plus_part) / len(w_plus))
        gradients += torch.autograd.grad(loss, w_plus_part)  # reaches w+ alone; no parameter's grad is touched
    return torch.cat(gradients)
