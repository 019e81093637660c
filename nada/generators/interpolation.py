"""Generators between generators: domains that share a source can be mixed weight by weight."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nada.errors import ShapeError
from nada.generators.protocol import Generator


@torch.no_grad()
def mix_into(target: Generator, source: Generator, parts: Sequence[tuple[Generator, float]]) -> None:
    """Overwrite `target` with the source plus a share of every domain's change.

        target = source + sum over the parts of share * (part - source)

    Generators adapted from one source keep its latent space, so what lies between their weights draws the same
    picture half in one domain and half in the other (StyleGAN-NADA, arXiv:2108.00946, section 5). Shares that add
    up to one leave nothing of the source's own look; a negative share moves away from a domain.

    Args:
        target: of the same architecture, trained by nobody.
        source: the generator that every part was adapted from.
        parts: each with its share.

    Raises:
        ShapeError: a part has other tensors than the source.
    """
    mixed, before = target.state_dict(), source.state_dict()
    after = [(part.state_dict(), share) for part, share in parts]
    for tensors, _ in after:
        if {name: value.shape for name, value in tensors.items()} != {name: v.shape for name, v in before.items()}:
            raise ShapeError("generators of different architectures cannot be mixed; use domains of one source")
    for name, value in before.items():
        changes = [share * (tensors[name] - value) for tensors, share in after]
        mixed[name].copy_(sum(changes, start=value))
