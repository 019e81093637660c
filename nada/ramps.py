"""How a learning rate rises and falls over an optimisation of latents, as in the projector of StyleGAN2.

arXiv:1912.04958, appendix D; StyleCLIP's latent optimisation (arXiv:2103.17249) goes the same way.
"""

from __future__ import annotations

import math

WARM_UP = 0.05  # of all steps, from 0 up to 1
RAMP_DOWN = 0.25  # of all steps, the last ones, down to 0


def ramped(index: int, total: int) -> float:
    """Share of the learning rate at a step: up in a line, later down along half a cosine.

    Args:
        index: steps done before.
        total: steps in all.

    >>> [round(ramped(index, 100), 3) for index in (0, 1, 5, 75, 99)]
    [0.0, 0.2, 1.0, 1.0, 0.004]
    """
    done = index / total
    down = min(1.0, (1 - done) / RAMP_DOWN)
    return (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, done / WARM_UP)
