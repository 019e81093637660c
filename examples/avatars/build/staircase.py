"""A mapping network that is constructed instead of trained: normal z -> the w of one portrait.

Each attribute of a portrait is decided by one direction of z: its quantile chooses the class, all classes being
equally likely. Two units lrelu(s (d - b)) and lrelu(s (d - b) - 1) differ by a step at the boundary b between
two classes, so a two-layer mapping with such a pair per boundary *is* the staircase from z to w, exactly but for
a ramp 1/s wide at each boundary: 1.5% of samples touch one. Training a mapping could only approximate the steps,
and its samples would blend eyes or mouths around each.
Legend: A attributes, K classes of all attributes, Z and W_DIM latent widths.
"""

from __future__ import annotations

import torch
from portraits import Classes
from torch import Tensor

from nada.generators.mapping_network import FullyConnected
from nada.generators.stylegan2 import StyleGAN2
from nada.generators.stylegan2_ops import LRELU_GAIN, LRELU_SLOPE

STEEPNESS = 1000.0  # 1 / the ramp's width, in standard deviations of z
LEVEL = LRELU_SLOPE * LRELU_GAIN  # the difference of a pair left of its boundary
STEP = (1 - LRELU_SLOPE) * LRELU_GAIN  # and by how much it rises there
MARGIN = 0.1  # the least value before the last activation, which must stay on its linear side
QUANTILE_SAMPLES = 1 << 20


def directions(num_attributes: int, z_dim: int, seed: int) -> Tensor:
    """One unit direction of z per attribute, [A, Z], orthogonal to each other."""
    rng = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(z_dim, num_attributes, generator=rng))[0].T.contiguous()


def boundaries(num_classes: int, z_dim: int, seed: int) -> Tensor:
    """Where equally likely classes meet along any direction of a normalised z, [num_classes - 1]."""
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(QUANTILE_SAMPLES // z_dim * 2, z_dim, generator=rng)
    z = z * z.square().mean(dim=1, keepdim=True).rsqrt()
    coordinates = torch.cat([z, -z]).flatten()  # all of them are alike, and symmetric
    return coordinates.quantile(torch.arange(1, num_classes) / num_classes)


def _set(layer: FullyConnected, weight: Tensor, bias: Tensor) -> None:
    """Store the wanted weights, whatever the layer multiplies them with when used."""
    layer.weight.copy_(weight / layer.weight_gain)
    layer.bias.copy_(bias / layer.bias_gain)


@torch.no_grad()
def install(generator: StyleGAN2, embedding: Tensor, classes: Classes, seed: int = 0) -> None:
    """Give `generator` the mapping for which w is the sum of one row of `embedding` per attribute.

    Every w is moved by a constant, so that the mapping's last activation stays on its linear side; the
    affine layers take the constant back, so pictures stay the same.

    Args:
        generator: its mapping has two layers, w_dim >= 2 (K - A); `synthesis` was trained on sums of rows.
        embedding: [K, W_DIM], zero mean over the classes of each attribute.
        classes: the attributes and their classes.
        seed: chooses the directions of z.
    """
    z_dim, w_dim = generator.z_dim, generator.w_dim
    hidden_weight, hidden_bias = torch.zeros(w_dim, z_dim), torch.zeros(w_dim)
    rows = [embedding[offset : offset + size] for offset, size in zip(classes.offsets, classes.sizes, strict=True)]
    shift = MARGIN - torch.stack([row.amin(dim=0) for row in rows]).sum(dim=0)
    out_weight, out_bias = torch.zeros(w_dim, w_dim), shift.clone()
    unit = 0
    for direction, row in zip(directions(len(rows), z_dim, seed), rows, strict=True):
        out_bias += row[0]
        for i, boundary in enumerate(boundaries(len(row), z_dim, seed)):
            pair = slice(unit, unit + 2)
            hidden_weight[pair] = STEEPNESS * direction
            hidden_bias[pair] = torch.tensor([0.5, -0.5]) - STEEPNESS * boundary
            rise = (row[i + 1] - row[i]) / STEP
            out_weight[:, unit], out_weight[:, unit + 1] = rise, -rise
            out_bias -= rise * LEVEL
            unit += 2
    first, last = (generator.mapping.get_submodule(f"fc{i}") for i in range(2))
    assert isinstance(first, FullyConnected) and isinstance(last, FullyConnected)
    _set(first, hidden_weight, hidden_bias)
    _set(last, out_weight / LRELU_GAIN, out_bias / LRELU_GAIN)
    generator.mapping.w_avg.copy_(shift)
    for name, layer in generator.synthesis.named_modules():
        if name.endswith("affine") and isinstance(layer, FullyConnected):
            layer.bias.sub_(layer.weight @ shift * layer.weight_gain / layer.bias_gain)


def chosen_classes(z: Tensor, classes: Classes, seed: int = 0) -> Tensor:
    """The columns that the installed mapping chooses for z [N, Z]: [N, A]."""
    z = z / z.square().mean(dim=1, keepdim=True).sqrt()
    along = z @ directions(len(classes.sizes), z.shape[1], seed).T
    return torch.stack(
        [
            offset + torch.bucketize(along[:, i].contiguous(), boundaries(size, z.shape[1], seed))
            for i, (offset, size) in enumerate(zip(classes.offsets, classes.sizes, strict=True))
        ],
        dim=1,
    )


@torch.no_grad()
def share_blended(generator: StyleGAN2, embedding: Tensor, classes: Classes, num: int, seed: int = 0) -> float:
    """Share of `num` random z whose w lies between two portraits: a tenth of the way or more, in [0, 1]."""
    z = torch.randn(num, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    wanted = embedding[chosen_classes(z, classes, seed)].sum(dim=1) + generator.mapping.w_avg
    step = embedding.norm(dim=1).min()
    return float(((generator.mapping.to_w(z) - wanted).norm(dim=1) > 0.1 * step).float().mean())
