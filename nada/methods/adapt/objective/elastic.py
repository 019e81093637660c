"""Elastic weight consolidation (Kirkpatrick et al. 2017, arXiv:1612.00796): weights that matter to the source stay.

A generator has no likelihood, so the Fisher information is that of what the guide sees: its embedding of a picture is
read as the mean of a normal distribution of unit variance. Then, with J the derivative of the embedding of G(w),

    F = E_w diag(J^T J) = E_w,u (d <u, e> / d theta)^2,   u ~ N(0, I),

and F (theta - theta*)^2, summed, is about how far the embeddings of pictures would move (squared) if the weights moved
independently. They do not: real edits move together and far at little cost, so that this loss wants a large weight.
Legend: D CLIP width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nada.clip.guide import Guide
from nada.generators.protocol import Generator
from nada.latents import draw_ws
from nada.methods.adapt.step_inputs import draw_render_inputs
from nada.micro_batch import MicroBatch

NUM_PICTURES = 64
"""Behind the Fisher information, one latent, view and direction each: the mean over a layer is then known to a few
percent, and a row is later by a second or two."""


class ElasticWeights:
    """sum over weights of F (theta - theta*)^2.

    Args:
        weights: at their start theta*, which is copied.
        fisher: F of each, in its shape.
    """

    def __init__(self, weights: Sequence[nn.Parameter], fisher: Sequence[Tensor]) -> None:
        self._held = [(w, w.detach().clone(), f) for w, f in zip(weights, fisher, strict=True)]

    def __call__(self) -> Tensor:
        """The penalty, a scalar of 0 or more."""
        return torch.stack([(f * (w - start).square()).sum() for w, start, f in self._held]).sum()


def fisher_information(
    generator: Generator,
    guide: Guide,
    weights: Sequence[nn.Parameter],
    rng: torch.Generator,
    micro_batch: MicroBatch,
    num: int = NUM_PICTURES,
) -> list[Tensor]:
    """How much each weight matters to what the guide sees of a generator's pictures, as it is now.

    Args:
        generator: whose weights they are.
        guide: several models count by their shares.
        weights: learn afterwards; which of them take gradients is as before once this returns.
        rng: of latents, noise, views and directions.
        micro_batch: for the message where memory runs out; pictures come one at a time, as squares of sums are wanted.
        num: pictures.

    Returns:
        F of each weight, in its shape, not negative.

    Raises:
        OutOfMemoryError: not even one picture fits.
    """
    needed = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_(True)
    totals = [torch.zeros_like(weight) for weight in weights]
    for _ in range(num):
        squares = micro_batch.fit("Fisher information", 1, lambda _: _squares(generator, guide, weights, rng))
        for total, square in zip(totals, squares, strict=True):
            total += square / num
    for weight, was in zip(weights, needed, strict=True):
        weight.requires_grad_(was)
    return totals


def _squares(generator: Generator, guide: Guide, weights: Sequence[nn.Parameter], rng: torch.Generator) -> list[Tensor]:
    """(d <u, e> / d theta)^2 of one latent and one u."""
    ws, seen = draw_ws(1, generator, rng), draw_render_inputs(1, generator, guide, rng)
    embs = guide.embed_images(generator.synthesis(ws, noise=seen.noise), seen.views)
    projected = [(torch.randn(emb.shape, generator=rng).to(emb) * emb).sum() for emb in embs]
    shares = [share**0.5 for share in guide.weights]  # of the models' directions; their squares add up by the shares
    total = torch.stack([share * value for share, value in zip(shares, projected, strict=True)]).sum()
    gradients = torch.autograd.grad(total, list(weights), materialize_grads=True)
    return [gradient.square() for gradient in gradients]
