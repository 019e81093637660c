"""What a guide makes of prompts before anything is trained: text alone, seconds.

Legend: T templates, D CLIP width, P pairs of a night.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.clip.templates import templates

NUM_TEMPLATES = 8
"""Evenly spread over the 79: enough to tell what depends on the sentence from what depends on the prompt."""
TINY_EDIT = 0.2
"""Length of source -> target among unit embeddings, below which a pair has no direction to speak of: cosine 0.98."""
SAME_EDIT = 0.95
"""Cosine of two text directions above which two rows ask for the same."""
SURE = 0.75
"""Share of a target's sentences that must lie nearest to their own prompt."""
FICKLE = 0.5
"""Largest move of a target by mere spelling, as a share of its edit's length."""


class Reader(Protocol):
    """What is asked of a guide; `nada.clip.model.ClipModel` is one."""

    def embed_texts(self, texts: list[str]) -> Tensor:
        """Texts -> emb [T, D], unit norm."""


class Pair(Protocol):
    """Prompts of a row; `nada.clip.goal.PromptPair` is one."""

    @property
    def source(self) -> str:
        """What the source generator shows."""

    @property
    def target(self) -> str:
        """What the adapted one shall show."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A prompt worth a second look."""

    index: int
    """Of the pair."""
    other: int | None = None
    """Of a second pair that is concerned."""
    text: str
    """What is the matter, with the figure that says so, and what to try."""


def preflight(model: Reader, pairs: Sequence[Pair], ways: Sequence[Hashable] = ()) -> list[Finding]:
    """Pairs that a guide hardly sees, confuses with others, or reads by their spelling; in the order of the pairs.

    Args:
        model: one guide.
        pairs: of the rows that are to be trained, P of them.
        ways: how each row comes to its edit: different ways may ask for the same. Without any, all go one.
    """
    prompts = dict.fromkeys(prompt for pair in pairs for prompt in (pair.source, pair.target))
    sentences = {prompt: _embed(model, prompt) for prompt in prompts}
    edits = torch.stack([(sentences[pair.target] - sentences[pair.source]).mean(dim=0) for pair in pairs])  # [P, D]
    targets = list(dict.fromkeys(pair.target for pair in pairs))
    twins = same_edits(edits, ways)
    mistaken = confusions(torch.stack([sentences[target] for target in targets]))
    told = {frozenset((pairs[index].target, pairs[other].target)) for index, other in twins.items()}
    findings: list[Finding] = []
    for index, pair in enumerate(pairs):
        length = float(edits[index].norm())
        if length < TINY_EDIT:
            text = f"{pair.source!r} and {pair.target!r} are nearly the same to it (length {length:.2f})"
            findings.append(Finding(index=index, text=f"{text}; name what shall change"))
            continue
        if (twin := twins.get(index)) is not None:
            findings.append(Finding(index=index, other=twin, text="ask for the same edit; one of the two will do"))
        elif (mistake := mistaken.get(targets.index(pair.target))) is not None:
            other, share = targets[mistake[0]], mistake[1]
            if frozenset((pair.target, other)) not in told:
                text = f"{pair.target!r} is read as {other!r} in {share:.0%} of the sentences; choose other words"
                findings.append(Finding(index=index, text=text))
        spelling, moved = most_moving_spelling(model, pair.target)
        if moved > FICKLE * length:
            text = f"{pair.target!r} and {spelling!r} are {moved / length:.0%} of the edit apart; spelling decides here"
            findings.append(Finding(index=index, text=text))
    return findings


def same_edits(edits: Tensor, ways: Sequence[Hashable] = ()) -> dict[int, int]:
    """Index of a pair -> an earlier pair that goes the same way, and whose text direction is nearly the same.

    Args:
        edits: [P, D], of any length.
        ways: P of them, or none.
    """
    cosines = F.normalize(edits, dim=1) @ F.normalize(edits, dim=1).T
    numbers = {way: number for number, way in enumerate(dict.fromkeys(ways))}
    way = torch.tensor([numbers[one] for one in ways] or [0] * len(edits))
    same = ((cosines > SAME_EDIT) & (way[:, None] == way)).tril(diagonal=-1)
    return {index: int(row.nonzero()[0]) for index, row in enumerate(same) if row.any()}


def confusions(emb: Tensor) -> dict[int, tuple[int, float]]:
    """Index of a target -> the target for which most of its sentences are mistaken, and the share of all mistakes.

    A sentence is compared with every target's mean; its own target's mean leaves it out.

    Args:
        emb: sentences of different targets, [P, T, D], unit norm.
    """
    num, count, _ = emb.shape
    means = F.normalize(emb.mean(dim=1), dim=1)  # [P, D]
    scores = emb @ means.T  # [P, T, P]
    without = F.normalize(emb.sum(dim=1, keepdim=True) - emb, dim=2)
    own = torch.arange(num)
    scores[own, :, own] = (emb * without).sum(dim=2)
    nearest = scores.argmax(dim=2)  # [P, T]
    found = {}
    for index in range(num):
        others = nearest[index][nearest[index] != index]
        if len(others) > (1 - SURE) * count:
            found[index] = int(others.mode().values), len(others) / count
    return found


def most_moving_spelling(model: Reader, prompt: str) -> tuple[str, float]:
    """The other spelling of a prompt that lies farthest from it, and the distance between their embeddings."""
    others = spellings(prompt)
    emb = model.embed_texts([f"a photo of {text}." for text in (prompt, *others)])
    moved = (emb[1:] - emb[0]).norm(dim=1)
    farthest = int(moved.argmax())
    return others[farthest], float(moved[farthest])


def spellings(prompt: str) -> list[str]:
    """Other ways to write the same words.

    >>> spellings("Pixel-art")
    ['pixel-art', 'Pixel art', 'a Pixel-art']
    """
    bare = prompt.removeprefix("a ").removeprefix("an ").removeprefix("the ")
    hyphens = prompt.replace("-", " ") if "-" in prompt else prompt.replace(" ", "-")
    article = bare if bare != prompt else f"a {prompt}"
    others = [prompt.lower(), prompt.capitalize(), hyphens, article]
    return [text for text in dict.fromkeys(others) if text != prompt]


def _embed(model: Reader, prompt: str) -> Tensor:
    """The prompt in NUM_TEMPLATES sentences, [T, D], unit norm."""
    stride = len(templates()) // NUM_TEMPLATES
    chosen = templates()[: stride * NUM_TEMPLATES : stride]
    return model.embed_texts([template.replace("{}", prompt) for template in chosen])
