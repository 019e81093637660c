"""What a row is to come to, as directions and places in CLIP space. Imports no torch: a night is planned without it.

Legend: D CLIP width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from nada.clip.guide import Guide


class Goal(Protocol):
    """Whatever says where pictures shall go: a pair of texts, a text, or pictures."""

    def directions(self, guide: Guide) -> list[Tensor]:
        """Along which each picture's edit shall point: one unit vector [D] a model of the guide."""

    def direction_sets(self, guide: Guide) -> list[Tensor]:
        """The same from each of its wordings or pictures, whose spread says how edits may differ: [T, D] a model."""

    def cosines(self, guide: Guide) -> list[Tensor]:
        """How near the goal is to where pictures come from: one cosine a model."""

    def places(self, guide: Guide, article: bool = False) -> list[Tensor]:
        """Towards which pictures shall go: one emb [D] a model.

        Args:
            guide: the models.
            article: as a sentence would name it, `a sketch`, where the goal is a text.
        """


@dataclass(frozen=True)
class PromptPair:
    """What the source generator shows, and what the adapted one shall show; a `Goal`."""

    source: str
    target: str

    def directions(self, guide: Guide) -> list[Tensor]:
        """From source to target, averaged over the templates."""
        return guide.text_directions(self)

    def direction_sets(self, guide: Guide) -> list[Tensor]:
        """From source to target in each template."""
        return guide.text_direction_sets(self)

    def cosines(self, guide: Guide) -> list[Tensor]:
        """Of the two prompts."""
        return guide.text_cosines(self)

    def places(self, guide: Guide, article: bool = False) -> list[Tensor]:
        """The target's embeddings."""
        return guide.text_embeddings(f"a {self.target}" if article else self.target)
