"""The section `mapper` of params.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nada.config import Section

GROUPS = ("coarse", "medium", "fine")


class MapperConfig(Section):
    """One mapper: how long, how fast, which rows of ws it moves, and by which losses.

    The weights of the losses are the published ones, for CLIPs and latents of the size of ViT-B/32 and FFHQ.
    """

    iterations: int = Field(300, ge=1, le=1_000_000)
    """Steps. StyleCLIP trains up to 50,000 of batch 2."""
    keep: Literal["best", "last"] = "best"
    """`best`: the judge looks now and then at pictures of latents that train nothing, before and after, and what is
    kept is the mapper that moved them furthest along the text; where none surely moved them, or variety was lost, the
    row draws what it started from. `last`: the mapper after the last step, whatever it does."""
    probe_every: int = Field(50, ge=1, le=100_000)
    """Steps from one look to the next."""
    probe_images: int = Field(64, ge=4, le=10_000)
    """Samples of each look."""
    batch_size: int = Field(2, ge=1, le=1024)
    learning_rate: float = Field(0.5, gt=0, le=100)
    """Of Adam. The layers multiply it by 0.01, as StyleGAN's mapping network does. StyleCLIP: 0.5, of Ranger."""
    coarse: bool = True
    """Whether rows 0 to 3 of ws move: pose, outline, hair style."""
    medium: bool = True
    """Rows 4 to 7: features of the face."""
    fine: bool = True
    """Rows from 8 on: colours, details."""
    scale: float = Field(0.1, gt=0, le=100)
    """Of the step: ws + scale x M(ws)."""
    truncation_psi: float = Field(0.7, ge=0, le=1)
    """Of the latents on which it trains."""
    global_weight: float = Field(1.0, ge=0)
    """Weight of 1 - cosine to the target text."""
    directional_weight: float = Field(0.0, ge=0)
    """Weight of NADA's directional loss between the pictures before and after; not in StyleCLIP."""
    latent_weight: float = Field(0.8, ge=0)
    """Weight of the mean squared step, of all rows of ws."""
    norm_weight: float = Field(0.0, ge=0)
    """Weight of the mean squared difference of the norms of un-normalised embeddings before and after. NADA's mining:
    0.5."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Those that are on."""
        return tuple(group for group in GROUPS if getattr(self, group))

    @model_validator(mode="after")
    def _moves_something(self) -> MapperConfig:
        if not self.groups:
            raise ValueError("coarse, medium and fine are all false; nothing would move")
        if self.global_weight == 0 and self.directional_weight == 0:
            raise ValueError("global_weight and directional_weight are both 0; nothing would be learned")
        return self
