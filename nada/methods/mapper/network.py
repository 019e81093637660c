"""The latent mapper (StyleCLIP, arXiv:2103.17249, section 5): ws -> ws + scale x M(ws).

Each group of rows has a network of its own: PixelNorm, then four layers with leaky ReLU, equalised, whose learning
rate is that of StyleGAN's mapping network.

The groups are rows 0 to 3, 4 to 7 and from 8 on, in every generator. In a StyleGAN2 or MobileStyleGAN the number of a
row says its size whatever the picture's: these read features of up to 8 px, of 16 and 32 px, and of 64 px and more. So
a small generator has the groups of a large one, as far as it goes: fine has two rows at 64 px, and none below.
Legend: N batch, L style layers, W_DIM latent width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nada.errors import ParamsError, ShapeError
from nada.generators.mapping_network import MAPPING_LR_MULTIPLIER, FullyConnected
from nada.generators.stylegan2_ops import leaky_relu

ROWS = {"coarse": slice(0, 4), "medium": slice(4, 8), "fine": slice(8, None)}
NUM_LAYERS = 4
EPS = 1e-8


class GroupMapper(nn.Module):
    """M of one group: w [..., W_DIM] -> the same shape, row by row."""

    def __init__(self, w_dim: int) -> None:
        super().__init__()
        for index in range(NUM_LAYERS):
            layer = FullyConnected(w_dim, w_dim, lr_multiplier=MAPPING_LR_MULTIPLIER)
            self.add_module(f"fc{index}", layer)
        nn.init.zeros_(layer.weight)

    def forward(self, w: Tensor) -> Tensor:
        x = w * (w.square().mean(dim=-1, keepdim=True) + EPS).rsqrt()
        for layer in self.children():
            x = leaky_relu(layer(x))
        return x


class LatentMapper(nn.Module):
    """ws [N, L, W_DIM] -> ws + scale x M(ws), where M is zero in groups that are off.

    Args:
        w_dim: W_DIM.
        num_ws: L.
        groups: that are on; without any, ws stays as it is, to the bit.
        scale: of the step.

    Raises:
        ParamsError: a generator of so few rows has none of these groups.
    """

    def __init__(self, w_dim: int, num_ws: int, groups: Sequence[str], scale: float) -> None:
        super().__init__()
        self.w_dim, self.num_ws, self.scale = w_dim, num_ws, scale
        self.groups = groups_there(groups, num_ws)
        for group in self.groups:
            self.add_module(group, GroupMapper(w_dim))

    def forward(self, ws: Tensor) -> Tensor:
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ShapeError(f"ws: expected [N, {self.num_ws}, {self.w_dim}], got {list(ws.shape)}")
        return ws + self.scale * self.step(ws) if self.groups else ws

    def step(self, ws: Tensor) -> Tensor:
        """M(ws), [N, L, W_DIM]."""
        parts = [
            self.get_submodule(group)(ws[:, rows]) if group in self.groups else torch.zeros_like(ws[:, rows])
            for group, rows in ROWS.items()
        ]
        return torch.cat(parts, dim=1)


def groups_there(groups: Sequence[str], num_ws: int) -> tuple[str, ...]:
    """Those of the groups that have rows in a generator of L rows.

    Raises:
        ParamsError: some were asked for, and none has.
    """
    there = tuple(group for group in groups if range(num_ws)[ROWS[group]])
    if groups and not there:
        first = ROWS[groups[0]].start
        raise ParamsError(f"{groups[0]}: rows of ws from {first} on, of {num_ws}; set coarse or medium true as well")
    return there
