"""The section `optimise` of params.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nada.config import Name, Section


class OptimiseConfig(Section):
    """One picture's edit: whose, where it may move, and how far."""

    latents: Name | None = None
    """A file of one latent, such as `nada invert` writes of a photo: .npz or .npy. None: one is drawn, the first that
    `nada sample source --seed SEED --psi PSI` shows of the row's seed and `truncation_psi`."""
    truncation_psi: float = Field(0.7, ge=0, le=2)
    """Of a latent that is drawn."""
    space: Literal["w", "w+", "s"] = "w+"
    """What moves: one w for all layers, a row of w+ for each, or the styles of each, behind the affines."""
    iterations: int = Field(300, ge=1, le=100_000)
    learning_rate: float = Field(0.1, gt=0, le=10)
    """At its height: it rises over the first twentieth of the steps and falls over the last quarter."""
    latent_weight: float = Field(0.008, ge=0, le=1000)
    """Of the squared distance to where the latent was, summed over all rows of w+, or all styles. Less goes further."""
    loss: Literal["global", "directional"] = "global"
    """`global`: the picture's cosine to the target text, as published. `directional`: its edit's to the direction from
    source to target text."""
