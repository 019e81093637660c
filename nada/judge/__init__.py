"""Scores of an adapted generator, by a CLIP that did not guide it; each named for what it is."""

from nada.judge.features import Embedder, Judge, SetFeatures, embed_images_batched
from nada.judge.retrieval import Retrieved, retrieve
from nada.judge.scores import Score, StyleDirection, score_domain
from nada.judge.set_distances import frechet_distance

__all__ = [
    "Embedder",
    "Judge",
    "Retrieved",
    "Score",
    "SetFeatures",
    "StyleDirection",
    "embed_images_batched",
    "frechet_distance",
    "retrieve",
    "score_domain",
]
