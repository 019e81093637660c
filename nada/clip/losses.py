"""The losses of StyleGAN-NADA (arXiv:2108.00946), and those of later papers that keep a domain varied.

Legend: N batch, D CLIP width, T directions of one edit. Every `emb` has unit norm.
"""

from __future__ import annotations

import torch
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


def manifold_loss(emb_source: Tensor, emb_target: Tensor, cosine: Tensor) -> Tensor:
    """How far each target image is from lying to its source as the target text lies to the source text.

    The manifold loss of StyleGAN-NADA's reference implementation, which compares angles by their cosines:
        L = mean over i of |<t_i, s_i> - <T, S>|

    Args:
        emb_source: embeddings of frozen images, [N, D], unit norm.
        emb_target: embeddings of the trained images, [N, D], unit norm.
        cosine: of the two texts, a scalar.

    Returns:
        Scalar in [0, 2].
    """
    return ((emb_source * emb_target).sum(dim=1) - cosine).abs().mean()


def in_domain_angle_loss(emb_source: Tensor, emb_target: Tensor) -> Tensor:
    """How far the angles between images differ from those between their sources.

    Alanov et al. 2022 (HyperDomainNet, arXiv:2210.08884), in-domain angle consistency, as a mean:
        L = mean over i != j of (<s_i, s_j> - <t_i, t_j>)^2

    Args:
        emb_source: embeddings of frozen images, [N, D], unit norm.
        emb_target: embeddings of the trained images from the same `ws`, [N, D], unit norm.

    Returns:
        Scalar in [0, 4].

    Raises:
        ShapeError: fewer than two images have no angle between them.
    """
    if len(emb_source) < 2:
        raise ShapeError(f"in-domain angle loss: {len(emb_source)} image; it compares pairs, so give 2 or more")
    pairs = ~torch.eye(len(emb_source), dtype=torch.bool, device=emb_source.device)
    difference = emb_source @ emb_source.T - emb_target @ emb_target.T
    return difference[pairs].square().mean()


def moments_loss(emb_source: Tensor, emb_target: Tensor, text_dirs: Tensor) -> Tensor:
    """How far mean and covariance of the images' edits are from those of many texts' edits.

    After the directional moment loss of Jeon et al. 2023 (SVL, arXiv:2308.10554), with squared distances:
        L = |mean dI - mean dT|^2 + |cov dI - cov dT|_F^2
    Covariances divide by N and by T. Their distance is computed from inner products, without a [D, D] matrix.

    Args:
        emb_source: embeddings of frozen images, [N, D], unit norm.
        emb_target: embeddings of the trained images from the same `ws`, [N, D], unit norm.
        text_dirs: one direction a wording, [T, D], unit norm, no gradient.

    Returns:
        Scalar in [0, 8]. A batch of N has at most rank N - 1, so a small one cannot reach 0.

    Raises:
        ShapeError: the embeddings are not both [N, D].
    """
    edits = edit_directions(emb_source, emb_target)
    mean, text_mean = edits.mean(dim=0), text_dirs.mean(dim=0)
    centred, text_centred = (edits - mean) / len(edits) ** 0.5, (text_dirs - text_mean) / len(text_dirs) ** 0.5
    own, across, texts = (
        (one @ two.T).square().sum()
        for one, two in ((centred, centred), (centred, text_centred), (text_centred, text_centred))
    )
    apart: Tensor = (mean - text_mean).square().sum() + own - 2 * across + texts
    return apart


def feature_loss(emb_source: Tensor, emb_target: Tensor) -> Tensor:
    """Mean cosine distance of images to their sources, in [0, 2]: what the directional loss does not see of an edit.

    The identity loss of StyleCLIP (arXiv:2103.17249), on CLIP's features in place of a face network's.

    Args:
        emb_source: embeddings of frozen images, [N, D], unit norm.
        emb_target: embeddings of the trained images from the same `ws`, [N, D], unit norm.
    """
    return 1 - (emb_source * emb_target).sum(dim=1).mean()
