"""How exactly the pictures of a step are computed: in float32, or with bfloat16 where that is safe.

In bfloat16 run the convolutions of the generator, forward and backward, which are most of a step. Styles, demodulation,
the sum of the RGB pictures and a StyleGAN3's filters stay float32, as do weights and Adam: eight bits are too few for
sums of hundreds of squares. So does the guide, for what is learned from is the difference of two embeddings; it is a
tenth of a step of 256 px, and on a CPU autocast makes it slower: attention would round its weights once a position.
Legend: N batch, L style layers, W_DIM latent width, R resolution in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nada.generators.protocol import NoiseMaps, Synthesis
from nada.methods.adapt.config import Precision


def draw_pictures(synthesis: Synthesis, ws: Tensor, noise: NoiseMaps, precision: Precision) -> Tensor:
    """ws [N, L, W_DIM] -> img [N, 3, R, R], float32, differentiably."""
    if precision == "float32":
        return synthesis(ws, noise=noise)
    styles = synthesis.styles(ws)
    with torch.autocast(ws.device.type, torch.bfloat16):
        img = synthesis.from_styles(styles, noise)
    return img.float()
