"""How a picture is inverted. Imports no torch, so that the command knows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class InversionConfig:
    """How long in W, in W+, and how. All numbers but `plus_steps` are the published ones."""

    w_steps: int = 1000
    plus_steps: int = 500
    """In W+ afterwards, from where W ended; 0: the result stays in W."""
    learning_rate: float = 0.1
    plus_learning_rate: float = 0.1
    latent_noise: float = 0.05
    """At first, of the spread of W."""
    noise_weight: float = 1e5
    """Of the noise maps' correlation with themselves, moved by a pixel: maps must not paint what latents should."""
    seed: int = 0
