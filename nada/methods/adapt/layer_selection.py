"""Adaptive layer selection: which convolutions does the target text move most? (section 4.2 of the paper)

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
from nada.methods.adapt.config import SelectionConfig
from nada.methods.adapt.step_inputs import RenderInputs, draw_render_inputs
from nada.micro_batch import MicroBatch, parts


def eligible_layers(config: SelectionConfig, generator: Generator) -> list[Layer]:
    """The convolutions that may train, lowest resolution first.

    Raises:
        ParamsError: none is as fine as `min_resolution`.
    """
    fine = {layer.name for layer in generator.style_layers() if layer.resolution >= config.min_resolution}
    layers = [layer for layer in generator.conv_layers() if layer.name in fine]
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


def select_layers(
    generator: Generator,
    guide: Guide,
    emb_text: list[Tensor],
    config: SelectionConfig,
    rng: torch.Generator,
    micro_batch: MicroBatch,
) -> list[Layer]:
    """The k convolutions whose w moves most when w+ follows the global loss, lowest resolution first.

    A row of ws that drives no convolution, but toRGB or the input, is not eligible. One gradient step
    of plain SGD moves w+ by the gradient times a constant, so its rank is that of the mean absolute gradient.

    Args:
        generator: the generator in training.
        guide: scores its pictures.
        emb_text: one embedding [D] a guide model of the bare target text.
        config: k, batch size, iterations and learning rate of the search.
        rng: draws latents, noise and views.
        micro_batch: pictures at once.
    """
    layers = eligible_layers(config, generator)
    k = num_selected(config, generator)
    if k == len(layers):
        return layers
    start = draw_ws(config.batch_size, generator, rng)
    w_plus = start.clone()
    for _ in range(config.iterations):
        random = draw_render_inputs(config.batch_size, generator, guide, rng)
        gradient = partial(gradient_of_w_plus, generator, guide, emb_text, w_plus, random)
        w_plus = w_plus - config.learning_rate * micro_batch.fit("layer selection", len(w_plus), gradient)
    movement = (w_plus - start).abs().mean(dim=(0, 2))  # [L]
    ranked = sorted(layers, key=lambda layer: -float(movement[layer.ws_index]))
    return sorted(ranked[:k], key=lambda layer: layer.ws_index)


def gradient_of_w_plus(
    generator: Generator, guide: Guide, emb_text: list[Tensor], w_plus: Tensor, random: RenderInputs, size: int
) -> Tensor:
    """Gradient of the global loss with respect to w+, [N, L, W_DIM], `size` samples at a time."""
    gradients: list[Tensor] = []
    for part in parts(len(w_plus), size):
        w_plus_part = w_plus[part].requires_grad_(True)
        seen = random[part]
        emb = guide.embed_images(generator.synthesis(w_plus_part, noise=seen.noise), seen.views)
        loss = guide.weigh(map(global_loss, emb, emb_text)) * (len(w_plus_part) / len(w_plus))
        gradients += torch.autograd.grad(loss, w_plus_part)  # reaches w+ alone; no parameter's grad is touched
    return torch.cat(gradients)
