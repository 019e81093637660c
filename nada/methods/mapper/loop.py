"""The training of a latent mapper, as an iterator. It never logs, saves or prints: whoever drives it does.

Legend: N batch, L style layers, W_DIM latent width, D CLIP width, R resolution in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.clip.augmentations import Augmentations
from nada.clip.goal import Goal
from nada.clip.guide import Guide
from nada.clip.losses import directional_loss, global_loss
from nada.errors import NonFiniteLossError
from nada.generators.domain import Domain
from nada.latents import draw_z, seeded_rng
from nada.methods.mapper.config import MapperConfig
from nada.methods.mapper.network import LatentMapper
from nada.micro_batch import MicroBatch, parts


@dataclass(frozen=True)
class StepInputs:
    """The latents of a step, and how their pictures are seen before and after it, independently."""

    ws: Tensor
    """[N, L, W_DIM]."""
    before: Augmentations
    after: Augmentations

    def __len__(self) -> int:
        return self.ws.shape[0]

    def split(self, size: int) -> Iterator[StepInputs]:
        """Micro-batches of at most `size` samples, in order."""
        for part in parts(len(self), size):
            yield StepInputs(self.ws[part], self.before[part], self.after[part])


class MapperTraining:
    """Trains a mapper until the source's pictures of moved latents show the text.

    Iterate over it: it yields the detached terms of each step's loss, `loss` among them, after the weights were
    updated, and keeps them in `trace`.

    Args:
        source: draws; frozen. An adapted domain is mined.
        guide: the CLIP models that judge each step.
        goal: what its pictures shall come to.
        config: how long, how fast, which rows, which losses.
        seed: of every random number; the same seed on the same machine gives the same weights.
        micro_batch: pictures that are trained on at once, at most; by default all of a step's.

    Raises:
        ParamsError: the source has no row of the groups that are on.

    Raises, while iterated over:
        NonFiniteLossError: a loss was NaN or infinite.
        OutOfMemoryError: memory ran out with one picture at a time.
    """

    def __init__(
        self, source: Domain, guide: Guide, goal: Goal, config: MapperConfig, seed: int, micro_batch: int | None = None
    ) -> None:
        self.source, self.guide, self.config = source, guide, config
        torch.manual_seed(seed)  # layers draw their first weights unasked
        device = next(iter(source.parameters())).device
        self.mapper = LatentMapper(source.w_dim, source.num_ws, config.groups, config.scale).to(device)
        self.optimizer = torch.optim.Adam(self.mapper.parameters(), lr=config.learning_rate)
        self.rng = seeded_rng(seed)
        self.micro_batch = MicroBatch(micro_batch or config.batch_size)
        self.emb_target = goal.places(guide)  # [D] a model
        self.text_dirs = goal.directions(guide) if config.directional_weight > 0 else []
        weights = {
            "global": config.global_weight,
            "directional": config.directional_weight,
            "latent": config.latent_weight,
            "norm": config.norm_weight,
        }
        self.loss_weights = {name: weight for name, weight in weights.items() if weight > 0}
        self.trace: list[dict[str, Tensor]] = []

    @property
    def terms(self) -> tuple[str, ...]:
        """What each entry of the trace has."""
        return ("loss", *self.loss_weights)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for index in range(len(self.trace), self.config.iterations):
            inputs = self.draw()
            terms = self.micro_batch.backward("training", inputs, self.losses, self.optimizer)
            if not terms["loss"].isfinite():
                raise NonFiniteLossError(
                    f"step {index}: the loss is {terms['loss'].item()}; try a smaller mapper.learning_rate "
                    f"(now {self.config.learning_rate})"
                )
            self.optimizer.step()
            self.trace.append({name: terms[name] for name in self.terms})
            yield self.trace[-1]

    @torch.no_grad()
    def draw(self) -> StepInputs:
        """Fresh latents, and views of their pictures."""
        count, resolution = self.config.batch_size, self.source.resolution
        ws = self.source.mapping(draw_z(count, self.source, self.rng), self.config.truncation_psi)
        before, after = (self.guide.draw_augmentations(count, resolution, self.rng) for _ in range(2))
        return StepInputs(ws, before, after)

    def losses(self, inputs: StepInputs) -> dict[str, Tensor]:
        """The terms that the configuration asks for, and `loss`, their weighted sum; each a mean over N samples."""
        guide, needed = self.guide, self.loss_weights
        w_plus = self.mapper(inputs.ws)
        raw_after = guide.embed_images_raw(self.source.synthesis(w_plus), inputs.after)  # [N, D] a model
        emb_after = [F.normalize(raw, dim=1) for raw in raw_after]
        terms: dict[str, Tensor] = {}
        if "global" in needed:
            terms["global"] = guide.weigh(map(global_loss, emb_after, self.emb_target))
        if "latent" in needed:
            terms["latent"] = (w_plus - inputs.ws).square().mean()
        if "directional" in needed or "norm" in needed:
            with torch.no_grad():
                raw_before = guide.embed_images_raw(self.source.synthesis(inputs.ws), inputs.before)
        if "directional" in needed:
            emb_before = [F.normalize(raw, dim=1) for raw in raw_before]
            terms["directional"] = guide.weigh(map(directional_loss, emb_before, emb_after, self.text_dirs))
        if "norm" in needed:
            terms["norm"] = guide.weigh(map(norm_loss, raw_before, raw_after))
        return {**terms, "loss": torch.stack([weight * terms[name] for name, weight in needed.items()]).sum()}


def norm_loss(raw_before: Tensor, raw_after: Tensor) -> Tensor:
    """Mean squared difference of the embeddings' norms (the mining of arXiv:2108.00946): artefacts make them grow.

    Args:
        raw_before: un-normalised embeddings [N, D] of pictures before the step.
        raw_after: of the same after it.
    """
    difference = raw_before.norm(dim=1) - raw_after.norm(dim=1)  # [N]
    return torch.mean(difference**2)
