"""What leads a training: CLIP models, each with its share.

Legend: N batch, D CLIP width, R pixels a side.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.clip.augmentations import Augmentations, draw_augmentations
from nada.clip.goal import PromptPair
from nada.clip.model import ClipModel
from nada.clip.templates import fill
from nada.config import ViewsConfig


class Guide:
    """Several CLIP models, each with its share, that look at the same random views."""

    def __init__(self, models: list[ClipModel], weights: list[float], views: ViewsConfig | None = None) -> None:
        self.models = models
        self.weights = weights
        self.views = views or ViewsConfig()

    def draw_augmentations(self, count: int, resolution: int, rng: torch.Generator) -> Augmentations:
        """One random view of each of N images [3, R, R], for `embed_images`."""
        return draw_augmentations(count, resolution, self.views, rng)

    def embed_images(self, img: Tensor, views: Augmentations) -> list[Tensor]:
        """One emb [N, D] a model, of one view of each image."""
        seen = views.of(img)
        return [model.embed_images(seen) for model in self.models]

    def embed_images_raw(self, img: Tensor, views: Augmentations) -> list[Tensor]:
        """The same before they are normalised: one emb_raw [N, D] a model."""
        seen = views.of(img)
        return [model.embed_images_raw(seen) for model in self.models]

    def text_directions(self, pair: PromptPair) -> list[Tensor]:
        """One text direction [D] a model."""
        return [model.text_direction(pair.source, pair.target) for model in self.models]

    def text_direction_sets(self, pair: PromptPair) -> list[Tensor]:
        """One direction a prompt template, [T, D], unit norm, a model."""
        texts = fill(pair.target), fill(pair.source)
        embedded = [tuple(map(model.embed_texts, texts)) for model in self.models]
        return [F.normalize(target - source, dim=1) for target, source in embedded]

    def text_cosines(self, pair: PromptPair) -> list[Tensor]:
        """The cosine of the two prompts, each averaged over the templates, a model."""
        return [model.class_embedding(pair.source) @ model.class_embedding(pair.target) for model in self.models]

    def text_embeddings(self, text: str) -> list[Tensor]:
        """One emb [D] of a text, as it stands, a model."""
        return [model.embed_texts([text])[0] for model in self.models]

    def weigh(self, losses: Iterable[Tensor]) -> Tensor:
        """The sum of one loss a model, each by its share."""
        total = sum(weight * loss for weight, loss in zip(self.weights, losses, strict=True))
        assert isinstance(total, Tensor)
        return total
