"""Images against texts: one number an image, whose mean is the figure.

Legend: M images, D CLIP width, P prompts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nada.judge.features import Embedder, Features, unit


def similarities(emb: Features, text_emb: Features) -> Features:
    """Cosine between each image and a text, [M], in [-1, 1].

    The mean is CLIP score without its factor (Hessel et al. 2021, arXiv:2104.08718), and with the target's text the
    Quality of HyperDomainNet (arXiv:2210.08884).

    Args:
        emb: [M, D].
        text_emb: [D], unit norm.
    """
    return np.asarray(unit(emb) @ text_emb)


def directional_similarities(source_emb: Features, target_emb: Features, text_dir: Features) -> Features:
    """Cosine between each image edit and the text edit, [M], in [-1, 1]; an image that did not move counts 0.

    Args:
        source_emb: embeddings before the edit, [M, D], unit norm.
        target_emb: embeddings of the same latents after it, [M, D], unit norm.
        text_dir: direction between the texts, [D], unit norm.
    """
    return np.asarray(unit(target_emb - source_emb) @ text_dir)


def nearest_texts(emb: Features, text_embs: Features) -> NDArray[np.int64]:
    """Index of the text nearest to each image, [M]; the first of equals.

    Args:
        emb: [M, D].
        text_embs: [P, D], unit norm.
    """
    return np.asarray(np.argmax(unit(emb) @ text_embs.T, axis=1), dtype=np.int64)


def embed_prompts(clip: Embedder, prompts: Sequence[str]) -> Features:
    """Template-averaged embeddings of prompts, [P, D], unit norm."""
    return np.stack([unit(clip.class_embedding(prompt).detach().double().cpu().numpy()) for prompt in prompts])
