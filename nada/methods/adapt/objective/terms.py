"""The losses of a step by name; each has its weight in the configuration, `<name>_weight`.

Legend: N batch, D CLIP width, T wordings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor

from nada.clip.goal import Goal
from nada.clip.guide import Guide
from nada.clip.losses import (
    directional_loss,
    feature_loss,
    global_loss,
    in_domain_angle_loss,
    manifold_loss,
    moments_loss,
)
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.objective.textures import texture_loss, textures_of

Embs = list[Tensor]
"""One emb [N, D] a model of the guide."""


@dataclass(frozen=True)
class Seen:
    """The same latents before and after the change, as the guide sees them."""

    source: Embs
    target: Embs
    source_patches: Embs
    """Of a patch of each picture; empty where no loss asks for them."""
    target_patches: Embs
    target_textures: list[Tensor]
    """[N, F] a model; empty where no loss asks for them."""

    def with_part(self, place: slice, part: Seen) -> Seen:
        """The whole batch, with the gradient of a part of it."""
        target = [whole.clone() for whole in self.target]
        for whole, attached in zip(target, part.target, strict=True):
            whole[place] = attached
        return Seen(self.source, target, self.source_patches, self.target_patches, self.target_textures)

    @classmethod
    def joined(cls, parts: Sequence[Seen]) -> Seen:
        """A batch of its parts, in order."""
        columns = zip(*(tuple(getattr(part, field.name) for field in fields(cls)) for part in parts), strict=True)
        return cls(*([torch.cat(embs) for embs in zip(*column, strict=True)] for column in columns))


@dataclass(frozen=True)
class Aim:
    """Where the goal is in the guide's spaces, a tensor a model each; computed where a loss asks for it."""

    goal: Goal
    guide: Guide

    @cached_property
    def directions(self) -> list[Tensor]:
        """[D]."""
        return self.goal.directions(self.guide)

    @cached_property
    def direction_sets(self) -> list[Tensor]:
        """[T, D]."""
        return self.goal.direction_sets(self.guide)

    @cached_property
    def places(self) -> list[Tensor]:
        """[D], as a sentence names it."""
        return self.goal.places(self.guide, article=True)

    @cached_property
    def textures(self) -> list[Tensor]:
        """[F]."""
        return textures_of(self.goal, self.guide)

    @cached_property
    def cosines(self) -> list[Tensor]:
        """Scalars."""
        return self.goal.cosines(self.guide)


Loss = Callable[[Aim, Seen], Iterable[Tensor]]
"""One scalar a model."""

OF_PICTURES: dict[str, Loss] = {
    "directional": lambda aim, seen: map(directional_loss, seen.source, seen.target, aim.directions),
    "global": lambda aim, seen: map(global_loss, seen.target, aim.places),
    "patch_directional": lambda aim, seen: map(
        directional_loss, seen.source_patches, seen.target_patches, aim.directions
    ),
    "manifold": lambda aim, seen: map(manifold_loss, seen.source, seen.target, aim.cosines),
    "feature": lambda _, seen: map(feature_loss, seen.source, seen.target),
    "texture": lambda aim, seen: map(texture_loss, seen.target_textures, aim.textures),
}
"""Means over pictures: of a part of a batch, its share."""
OF_BATCHES: dict[str, Loss] = {
    "moments": lambda aim, seen: map(moments_loss, seen.source, seen.target, aim.direction_sets),
    "in_domain_angle": lambda _, seen: map(in_domain_angle_loss, seen.source, seen.target),
}
"""Of pairs and spreads: of all pictures of a batch together."""
ELASTIC = "elastic"
"""Of the weights, whatever the pictures."""


class Objective:
    """The losses that a configuration asks for.

    Args:
        goal: where pictures shall go.
        guide: sees them; its models count by their shares.
        config: the weights; what has weight 0 is not computed.
        elastic: how far the weights are from their start, where that counts.
    """

    def __init__(
        self, goal: Goal, guide: Guide, config: AdaptConfig, elastic: Callable[[], Tensor] | None = None
    ) -> None:
        self.aim, self.guide, self._elastic = Aim(goal, guide), guide, elastic
        weights = {name: getattr(config, f"{name}_weight") for name in (*OF_PICTURES, *OF_BATCHES, ELASTIC)}
        self.weights: dict[str, float] = {name: weight for name, weight in weights.items() if weight > 0}

    @property
    def is_of_batches(self) -> bool:
        """Whether a part of a batch needs what is seen of the rest."""
        return not self.weights.keys().isdisjoint(OF_BATCHES)

    def __call__(self, seen: Seen, batch: Seen | None = None, share: float = 1.0) -> dict[str, Tensor]:
        """Every term, and `loss`, their weighted sum.

        Args:
            seen: a batch, or a part of it.
            batch: all of it, with gradients for the part.
            share: of the batch that the part is. Whoever adds up parts multiplies each by it.
        """
        terms = {name: self._term(name, seen, batch or seen, share) for name in self.weights}
        weighted = [weight * terms[name] for name, weight in self.weights.items()]
        return {**terms, "loss": torch.stack(weighted).sum()}

    def _term(self, name: str, seen: Seen, batch: Seen, share: float) -> Tensor:
        if name == ELASTIC:
            assert self._elastic is not None
            return self._elastic()
        if name in OF_PICTURES:
            return self.guide.weigh(OF_PICTURES[name](self.aim, seen))
        whole = self.guide.weigh(OF_BATCHES[name](self.aim, batch))
        # Each part has the value of the whole, and its own gradient of it, which the share would shrink.
        return whole if share == 1 else whole.detach() + (whole - whole.detach()) / share
