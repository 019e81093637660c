"""Which prompts the images of a domain find, among those of a whole night.

The one figure of a domain that depends on the others. It is computed from embeddings that are kept, so that a new row
updates it for all. Legend: M images, P prompts, D CLIP width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nada.clip.goal import PromptPair
from nada.judge.bootstrap import mean_estimate
from nada.judge.features import Embedder, Features, network_name
from nada.judge.scores import Score, Space
from nada.judge.texts import embed_prompts, nearest_texts


@dataclass(frozen=True)
class Retrieved:
    """A domain's line of the night's confusion matrix."""

    score: Score | None
    """Share of the images that find their own prompt; None where the domain has none, and pictures show it."""
    nearest: dict[str, int]
    """Prompt -> images that are nearest to it among all, where there are any."""


def retrieve(clip: Embedder, pair: PromptPair, emb: Features, targets: Iterable[str]) -> Retrieved:
    """Let each image find its prompt among the night's targets and its own source.

    Args:
        clip: must not have guided.
        pair: the domain's prompts; its target may be empty.
        emb: of its images, [M, D]; rounded to float32, so that kept ones say the same as new ones.
        targets: target prompts of the night.
    """
    prompts = sorted({pair.target, pair.source, *targets} - {""})
    rounded = np.asarray(emb, dtype=np.float32).astype(np.float64)
    nearest = nearest_texts(rounded, embed_prompts(clip, prompts))
    counts = dict(Counter(prompts[index] for index in nearest))
    if not pair.target:
        return Retrieved(None, counts)
    found = np.asarray(nearest == prompts.index(pair.target), dtype=np.float64)
    against = f"prompt '{pair.target}' among {len(prompts)} prompts"
    space = Space(network_name(clip), clip.resizing)
    score = space.score(mean_estimate(found), against, len(emb))
    return Retrieved(score, counts)
