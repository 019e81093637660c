"""The optimisation of a latent towards a text (StyleCLIP, arXiv:2103.17249, section 4), as an iterator.

It never logs, saves or prints: whoever drives it does.
Legend: L style layers, W_DIM latent width, C channels, D CLIP width, R resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nada.clip.goal import Goal
from nada.clip.guide import Guide
from nada.clip.losses import directional_loss, global_loss
from nada.errors import NonFiniteLossError
from nada.generators.domain import Domain
from nada.latents import seeded_rng
from nada.methods.optimise.config import OptimiseConfig
from nada.methods.optimise.edit import IN_W
from nada.ramps import ramped

BETAS = (0.9, 0.999)
SEEDS_APART = 1_000_003  # every step has a seed of its own, so that a state needs no random numbers


@dataclass(frozen=True)
class OptimisedStep:
    """What happened in one step; tensors are detached."""

    loss: Tensor
    text: Tensor
    """1 - cosine to the text, or to its direction."""
    latent: Tensor
    """Squared distance to where the latent was, not weighted."""


class Optimisation:
    """Moves one latent until its picture is near a text, or as the text says.

    Iterate over it: it yields an `OptimisedStep` after each step.

    Args:
        source: draws, and does not change.
        guide: the CLIP models that judge each step.
        goal: what the picture shall come to.
        ws: the latent, [1, L, W_DIM].
        config: where it may move, and how far.
        seed: of the views.

    Raises, while iterated over:
        NonFiniteLossError: the loss was NaN or infinite.
    """

    def __init__(self, source: Domain, guide: Guide, goal: Goal, ws: Tensor, config: OptimiseConfig, seed: int) -> None:
        self.source, self.guide, self.config, self.seed, self.ws = source, guide, config, seed, ws
        self.places = goal.places(guide, article=True)  # [D] a model
        self.text_dirs = goal.directions(guide) if config.loss == "directional" else []
        with torch.no_grad():
            self.styles = source.synthesis.styles(ws) if config.space == "s" else {}
            self.img_before = source.synthesis(ws)  # [1, 3, R, R]
        self.offsets = {name: offset.requires_grad_() for name, offset in self._zeros().items()}
        self.optimizer = torch.optim.Adam(list(self.offsets.values()), lr=config.learning_rate, betas=BETAS)
        self.trace: list[OptimisedStep] = []

    def __iter__(self) -> Iterator[OptimisedStep]:
        config = self.config
        for index in range(len(self.trace), config.iterations):
            for group in self.optimizer.param_groups:
                group["lr"] = config.learning_rate * ramped(index, config.iterations)

            # The picture should be near the text, and the latent near where it was:
            # L = (1 - <E(G(w)), E(t)>) + lambda |w - w0|^2 (eq. 1 of the paper, without the identity).
            text = self._text_loss(self.picture(), index)
            latent = self.squared_distance()
            loss = text + config.latent_weight * latent
            if not loss.isfinite():
                raise NonFiniteLossError(
                    f"step {index}: the loss is {loss.item()}; try a smaller optimise.learning_rate "
                    f"(now {config.learning_rate})"
                )
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.trace.append(OptimisedStep(loss.detach(), text.detach(), latent.detach()))
            yield self.trace[-1]

    def picture(self) -> Tensor:
        """[1, 3, R, R] of the latent as it is now."""
        if self.config.space == "s":
            moved = {name: styles + self.offsets[name] for name, styles in self.styles.items()}
            return self.source.synthesis.from_styles(moved)
        return self.source.synthesis(self.ws + self.offsets[IN_W])

    def squared_distance(self) -> Tensor:
        """By which the latent moved: summed over all rows of w+, or over all styles."""
        if self.config.space == "s":
            return torch.stack([offset.square().sum() for offset in self.offsets.values()]).sum()
        return self.offsets[IN_W].expand(self.source.num_ws, -1).square().sum()

    @torch.no_grad()
    def similarity(self, img: Tensor) -> float:
        """Cosine of a picture [1, 3, R, R] to the text, the mean of the guides by their shares."""
        embs = [model.embed_images(img) for model in self.guide.models]
        weighed = self.guide.weigh(map(global_loss, embs, self.places))
        return 1 - float(weighed) / sum(self.guide.weights)

    def _text_loss(self, img: Tensor, index: int) -> Tensor:
        rng = seeded_rng(self.seed * SEEDS_APART + index)
        views = [self.guide.draw_augmentations(1, self.source.resolution, rng) for _ in range(2)]
        embs = self.guide.embed_images(img, views[0])
        if self.config.loss == "global":
            return self.guide.weigh(map(global_loss, embs, self.places))
        with torch.no_grad():
            before = self.guide.embed_images(self.img_before, views[1])
        return self.guide.weigh(map(directional_loss, before, embs, self.text_dirs))

    def _zeros(self) -> dict[str, Tensor]:
        if self.config.space == "s":
            return {name: torch.zeros_like(styles[0]) for name, styles in self.styles.items()}
        rows = 1 if self.config.space == "w" else self.source.num_ws
        return {IN_W: torch.zeros(rows, self.source.w_dim, device=self.ws.device)}
