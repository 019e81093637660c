"""How old a face looks, and whether like a man: a small Xception (arXiv:1610.02357). Legend: N batch."""

from __future__ import annotations

import torch
from torch import Tensor

from nada.judge.faces.layers import State, conv, dense, max_pool, normalised, separable_conv

FILE = "age_gender_model"
SIDE_PX = 112


def age_and_gender(state: State, img: Tensor) -> Tensor:
    """Faces [N, 3, 112, 112] of levels in [0, 255] -> years and the probability of a man, [N, 2]."""
    x = conv(normalised(img), state, "entry_flow/conv_in", 2).relu()
    x = _reduction(x, state, "entry_flow/reduction_block_0", is_first=True)
    x = _reduction(x, state, "entry_flow/reduction_block_1")
    for block in range(2):
        shortcut = x
        for layer in range(3):
            x = separable_conv(x.relu(), state, f"middle_flow/main_block_{block}/separable_conv{layer}")
        x = x + shortcut
    x = _reduction(x, state, "exit_flow/reduction_block")
    pooled = separable_conv(x, state, "exit_flow/separable_conv").relu().mean(dim=(2, 3))
    man = dense(pooled, state, "fc/gender").softmax(dim=1)[:, :1]
    return torch.cat([dense(pooled, state, "fc/age"), man], dim=1)


def _reduction(x: Tensor, state: State, at: str, is_first: bool = False) -> Tensor:
    """Half the side."""
    out = separable_conv(x if is_first else x.relu(), state, f"{at}/separable_conv0")
    out = max_pool(separable_conv(out.relu(), state, f"{at}/separable_conv1"))
    return out + conv(x, state, f"{at}/expansion_conv", 2)
