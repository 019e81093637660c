"""The pictures of several light rows as one batch, seen by the guide at once.

Every sample's styles are moved by its own row's numbers, s' = multiplier x s + offset with both [N, C], so that one
convolution with the weights that all rows share draws them all. Nothing in generator or guide mixes samples: what a row
is shown, and its gradient, do not depend on what the others are.
Legend: K rows, N pictures of a row, C channels, D CLIP width, R resolution in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nada.clip.augmentations import Augmentations
from nada.generators.light.generator import LightGenerator, LightSynthesis
from nada.generators.light.moves import NEUTRAL, Kind, StyleMoves
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.objective.terms import Embs
from nada.methods.adapt.step_inputs import StepInputs


class Shown(NamedTuple):
    """A row's pictures of one step: how its styles move, and what they are drawn from."""

    moves: StyleMoves
    inputs: StepInputs


def see_together(shown: Sequence[Shown], like: Adaptation) -> list[tuple[Embs, Embs, Embs]]:
    """What `Adaptation.see_target` says of each row, with one pass through the generator and the guide for all.

    Args:
        shown: K rows of one generator, with N pictures each.
        like: one of them; the others see through the same guide, and their losses ask for the same.
    """
    assert isinstance(like.target, LightGenerator)
    inputs, each = [one.inputs for one in shown], len(shown[0].inputs)
    synthesis = LightSynthesis(like.target.base.synthesis, side_by_side([one.moves for one in shown], each))
    noise = tuple(map(torch.cat, zip(*(one.target.noise for one in inputs), strict=True)))
    img = like.draw(synthesis, torch.cat([one.ws for one in inputs]), noise)  # [K * N, 3, R, R]
    patches = [one.patches[1] for one in inputs if one.patches is not None]
    seen = like.see_target(img, joined([one.target.views for one in inputs]), joined(patches) if patches else None)
    embs, of_patches, textures = (
        [torch.split(tensor, each) for tensor in column] for column in seen
    )  # K of [N, D] a model
    return [
        ([of[k] for of in embs], [of[k] for of in of_patches], [of[k] for of in textures]) for k in range(len(shown))
    ]


def side_by_side(domains: Sequence[StyleMoves], each: int) -> StyleMoves:
    """The moves of a batch in which every one of these domains has `each` pictures, one domain after the other.

    Returns:
        [K * each, C] by layer, with gradients to every domain's own numbers; where a domain has none, the value that
        changes nothing.
    """

    def batched(kind: Kind) -> dict[str, Tensor]:
        known = {name: values for moves in domains for name, values in moves.of(kind).items()}
        neutral = {name: torch.full_like(values, NEUTRAL[kind]) for name, values in known.items()}
        rows = [{**neutral, **moves.of(kind)} for moves in domains]
        return {name: torch.cat([values[name].expand(each, -1) for values in rows]) for name in neutral}

    return StyleMoves(batched("multiplier"), batched("offset"))


def detached(moves: StyleMoves) -> StyleMoves:
    """The same, without gradient."""
    return StyleMoves(*({name: values.detach() for name, values in moves.of(kind).items()} for kind in NEUTRAL))


def joined(parts: Sequence[Augmentations]) -> Augmentations:
    """The views of the pictures of all parts, in order; they are drawn by the same settings."""
    theta = [part.theta for part in parts if part.theta is not None]
    noise = [part.noise for part in parts if part.noise is not None]
    return Augmentations(torch.cat(theta) if theta else None, torch.cat(noise) if noise else None)
