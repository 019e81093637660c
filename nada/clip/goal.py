"""What a row is to come to, as directions and places in CLIP space. Imports no torch: a night is planned without it.

Legend: D CLIP width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from nada.clip.guide import Guide


class Eye(Protocol):
    """A CLIP that does not guide and looks on; `nada.clip.model.ClipModel` is one."""

    @property
    def name(self) -> str:
        """Architecture."""

    def embed_images(self, img: Tensor) -> Tensor:
        """[N, 3, H, W] in [-1, 1] -> emb [N, D], unit norm."""

    def class_embedding(self, prompt: str) -> Tensor:
        """Mean embedding of the templated prompt, [D], unit norm."""

    def text_direction(self, source: str, target: str) -> Tensor:
        """Direction from the source prompt to the target prompt, [D], unit norm."""


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

    def seen_by(self, clip: Eye) -> tuple[Tensor, Tensor]:
        """Direction and place, [D] each, as one who looks on measures them."""


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

    def seen_by(self, clip: Eye) -> tuple[Tensor, Tensor]:
        """Both averaged over the templates."""
        return clip.text_direction(self.source, self.target), clip.class_embedding(self.target)
