"""An edit as an offset in style space, from what is known of every channel (StyleCLIP, arXiv:2103.17249, section 6).

Legend: K channels, D CLIP width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nada.clip.goal import Goal
from nada.clip.guide import Guide
from nada.errors import CheckpointError, ParamsError
from nada.methods.directions.channels import Channels


def relevance_to(channels: Sequence[Channels], directions: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """How far each channel takes pictures along a direction: t = R d, [K], in [-1, 1].

    Args:
        channels: of one generator, one a model of the guide.
        directions: unit norm, [D] each, of the same models.
        weights: of the models; the mean is theirs, so that `beta` means the same however many they are.

    Raises:
        CheckpointError: channels of several generators.
    """
    if len({tuple(one.layers.items()) for one in channels}) != 1:
        raise CheckpointError("channels of several style spaces; measure those of one generator by every guide")
    terms = [
        weight * (one.relevance @ direction.cpu())
        for one, direction, weight in zip(channels, directions, weights, strict=True)
    ]
    return torch.stack(terms).sum(dim=0) / sum(weights)


def style_offset(relevance: Tensor, std: Tensor, alpha: float, beta: float) -> Tensor:
    """alpha x std x t / max |t|, where t is zero below beta: [K].

    Args:
        relevance: t, [K].
        std: of the channels over latents, [K].
        alpha: standard deviations by which the most relevant channel moves.
        beta: relevance below which a channel stays.

    Raises:
        ParamsError: no channel is as relevant; it names the largest relevance.
    """
    largest = relevance.abs().max().item()
    if largest < beta or largest == 0:
        raise ParamsError(
            f"directions.beta is {beta:g}, and no channel is as relevant to this edit: the most relevant has "
            f"{largest:.3f}; use a smaller beta, or prompts that the guide tells apart in these pictures"
        )
    kept = relevance.where(relevance.abs() >= beta, 0)
    return alpha * std * kept / largest


def global_direction(
    channels: Sequence[Channels], guide: Guide, goal: Goal, alpha: float = 4.0, beta: float = 0.15
) -> dict[str, Tensor]:
    """The offset of every layer, [C] by its name, that edits pictures as a text says; `offset_domain` draws with it.

    Args:
        channels: of the generator, one a model of the guide.
        guide: whose models they are.
        goal: such as a pair of texts.
        alpha: strength, typically 3 to 4; negative goes the other way.
        beta: the larger, the fewer channels move; typically 0.15 to 0.2.

    Raises:
        ParamsError: beta is so large that nothing moves.
    """
    relevance = relevance_to(channels, goal.directions(guide), guide.weights)
    return channels[0].split(style_offset(relevance, channels[0].std, alpha, beta))
