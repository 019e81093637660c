"""Textures: how a CLIP's first features go together, wherever in a picture, against those of pictures of the style.

Legend: N batch, C channels, T tokens, H W pixels or places, K style pictures, F numbers of a texture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.clip.goal import Goal
from nada.clip.guide import Guide
from nada.clip.model import ClipModel
from nada.errors import GuideError, ParamsError
from nada.images import from_u8
from nada.inversion.tower import seen, tower_levels
from nada.micro_batch import MicroBatch

TEXTURE_LEVELS = 2  # the first of the tower's: strokes and colours, and not yet what is shown
AT_ONCE = 16  # style pictures


def texture_loss(of_pictures: Tensor, of_style: Tensor) -> Tensor:
    """Mean squared distance of the images' textures to those of pictures that show the style, in [0, 2].

    Gatys et al. 2016 (arXiv:1508.06576), style loss, with Gram matrices of unit features.

    Args:
        of_pictures: textures of the trained images, [N, F].
        of_style: the mean over the style's pictures, [F], no gradient.
    """
    return (of_pictures - of_style).square().sum(dim=1).mean()


@torch.no_grad()
def textures_of(goal: Goal, guide: Guide) -> list[Tensor]:
    """The mean of the textures of a goal's pictures, [F] a model of the guide.

    Raises:
        ParamsError: the goal has no pictures.
    """
    img_u8: Tensor | None = getattr(goal, "img_u8", None)  # [K, 3, R, R] of a goal that pictures show
    if img_u8 is None:
        raise ParamsError("texture_weight: a text shows no texture; name style_images, or leave it at 0")
    device = next(guide.models[0].visual.parameters()).device

    def mean(model: ClipModel) -> Tensor:
        looks = MicroBatch(AT_ONCE).each(
            "style pictures", len(img_u8), lambda part: textures(model, from_u8(img_u8[part].to(device)))
        )
        return torch.cat(list(looks)).mean(dim=0)

    return [mean(model) for model in guide.models]


def textures(clip: ClipModel, img: Tensor) -> Tensor:
    """How channels go together, wherever in the picture: the Gram matrices of Gatys et al. 2016 (arXiv:1508.06576).

    Args:
        clip: whose tower looks.
        img: [N, 3, H, W] in [-1, 1].

    Returns:
        [N, F]: the matrices of `TEXTURE_LEVELS`, one after the other; the squared distance of two pictures is the mean
        over the levels of that of their matrices.

    Raises:
        GuideError: the tower is of a kind that this cannot read.
    """
    if not (levels := tower_levels(clip.visual)[:TEXTURE_LEVELS]):
        raise GuideError(f"{clip.name}: an image tower of a kind whose textures cannot be read; leave texture_weight 0")
    with seen(levels) as outputs:
        clip.embed_images(img)
    return torch.cat([gram(output).flatten(1) / len(outputs) ** 0.5 for output in outputs], dim=1)


def gram(output: Tensor) -> Tensor:
    """[N, C, H, W] or [N, T, C] -> [N, C, C] of trace 1: the mean over places of f f^T, f of unit norm."""
    places = output.flatten(2).transpose(1, 2) if output.ndim == 4 else output  # [N, T, C]
    unit = F.normalize(places, dim=2)
    return unit.transpose(1, 2) @ unit / unit.shape[1]
