"""The losses of StyleGAN-NADA (arXiv:2108.00946).

Legend: N batch, D CLIP width. Every `emb` has unit norm.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from nada.errors import ShapeError

EDIT_EPS = 1e-2
"""Edits shorter than this are not stretched to unit length. Two random portraits lie about 1 apart, so such
an edit has no direction worth trusting; without the bound, the first step's gradient would be unbounded."""


def edit_directions(emb_source: Tensor, emb_target: Tensor) -> Tensor:
    """Direction of each image's edit, [N, D]: unit norm, or shorter where the edit is below EDIT_EPS.

    Raises:
        ShapeError: the embeddings are not both [N, D].
    """
    if emb_source.ndim != 2 or emb_source.shape != emb_target.shape:
        shapes = f"{list(emb_source.shape)} and {list(emb_target.shape)}"
        raise ShapeError(f"directional loss: embeddings {shapes}; expected both [N, D]")
    return F.normalize(emb_target - emb_source, dim=1, eps=EDIT_EPS)


def directional_loss(emb_source: Tensor, emb_target: Tensor, text_dir: Tensor) -> Tensor:
    """Mean cosine distance between each image edit and the text edit (eq. 4 of the paper).

        L = 1 - <dI, dT> / (|dI| |dT|)

    Args:
        emb_source: CLIP embeddings of frozen images, [N, D], unit norm.
        emb_target: embeddings of the trained images from the same `ws`, [N, D], unit norm.
        text_dir: text direction, [D], unit norm, no gradient.

    Returns:
        Scalar in [0, 2]; 0 means that every edit follows the text, 1 that nothing was edited.

    Raises:
        ShapeError: the embeddings are not both [N, D].
    """
    return 1 - (edit_directions(emb_source, emb_target) @ text_dir).mean()


def global_loss(emb: Tensor, emb_text: Tensor) -> Tensor:
    """Mean cosine distance of images to a text (eq. 1 of the paper), in [0, 2].

    Args:
        emb: CLIP embeddings of images, [N, D], unit norm.
        emb_text: embedding of the target text, [D], unit norm.
    """
    return 1 - (emb @ emb_text).mean()
