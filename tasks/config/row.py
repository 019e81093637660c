"""One row of the prompt CSV, and what its cells may hold."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.config.recipes import DEFAULT_METHOD

REQUIRED = ("domain", "source", "target")
OPTIONAL = (
    *("method", "recipe", "iterations", "seed", "generator", "on"),
    *("style_images", "reference_images", "true_images"),
    *("tries", "seeds", "priority"),
)
COLUMNS = (*REQUIRED, *OPTIONAL)
PICTURES = ("reference_images", "true_images")
"""Columns of pictures to judge by."""
DOMAIN_LENGTH = 64
RESERVED = "source"  # `nada sample source` shows the generator that the domains come from
EMPTY = "is empty; every row needs domain, source and target"
OR_PICTURES = ", or style_images in the target's place"
STYLE_WEIGHT, TEXTURE_WEIGHT = "style_weight", "texture_weight"
"""Options of methods whose rows may learn from `style_images`: their share in the goal, 1 without the target text; and
the weight of their textures, for such rows alone."""
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One checked row of the prompt CSV."""

    line: int
    """Where it starts in the file, counting from 1; the header is line 1."""
    domain: str
    """Its name in the night: the domain's, or that of one of its variants (`tasks.variants.names`)."""
    source: str
    target: str
    """Empty where `style_images` say it."""
    recipe: str
    """The row's own, or `night.recipe`; one of `recipes` for the row's method, or empty: the section as it stands."""
    iterations: int | None = None
    seed: int | None = None
    reference_images: str | None = None
    """Folder or zip of true images of the target domain, for judging alone."""
    true_images: str | None = None
    """Folder or zip of what the judged pictures should look like, one a latent, in their order by name; only where a
    domain is a function of the source's picture. Of any other number the first."""
    method: str = DEFAULT_METHOD
    """One of `nada.methods.registry`."""
    generator: str | None = None
    """A pretrained generator of its own, in place of `generator.weights`."""
    on: str | None = None
    """Another row, from whose result this one starts."""
    style_images: str | None = None
    """Folder or zip of pictures that show the target, to learn from."""
    priority: int = 0
    """Rows of a higher one are trained first; a deadline leaves the lowest."""

    @property
    def aim(self) -> str:
        """The target for people: its text, or where its pictures are."""
        return self.target or f"pictures of {self.style_images}"
