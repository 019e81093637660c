"""Scores of an adapted generator, by a CLIP that did not guide it; each named for what it is."""

from nada.judge.features import Embedder, embed_images_batched
from nada.judge.frechet import frechet_distance
from nada.judge.scores import Score, judge_domain

__all__ = ["Embedder", "Score", "embed_images_batched", "frechet_distance", "judge_domain"]
