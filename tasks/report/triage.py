"""What came of a domain, in a word, with the figures that say so and what to try next.

Computed from a finished row's record whenever it is shown, so that a better rule needs no new night.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nada.methods.base import Trouble
from tasks.store.record import Making, Record, ScoreEntry

Kind = Literal["good", "unproven", "weak", "off-target", "collapsed", "failed"]
KINDS: tuple[Kind, ...] = ("good", "unproven", "weak", "off-target", "collapsed", "failed")
"""`unproven`: the judge's CLIP is content, and nobody else was asked; it may be fooled by what fooled the guide."""
CONTENT: tuple[Kind, ...] = ("good", "unproven")
"""Those that ask for no change."""

COLLAPSED = 0.5
"""Share of the source's structural diversity: a domain that surely keeps less has lost its variety."""
BARELY_FOLLOWS = 0.1
"""Cosine of picture edits and text edit: a domain that surely stays below has hardly moved along the text."""
MOSTLY_FOLLOWS = 0.5
"""Cosine of picture edits and the way to the style pictures: a domain without a prompt that surely stays below goes
elsewhere for the most part. A prompt may be followed with less, for texts lie apart from all pictures."""
FOUND = 0.5
"""Share of a good domain's pictures that find their own prompt, at least."""
NO_COVERAGE = 0.01
REFERENCES = "name reference_images, some 50 pictures of what it should be, for a second opinion"
NETWORK = "set judge.efficientnet to web, for the opinion of a network that no text has formed"


class Opinion(NamedTuple):
    """A space that no text has formed, and what it asks of a good domain."""

    prefix: str
    """Of its scores."""
    name: str
    most_left: float
    """Of the way to the reference pictures."""
    least_way: float
    """That counts as whole, in variances of the source: of a small edit the noise of its own is no failure."""


SECOND_OPINIONS = (Opinion("colour_", "colours", 0.30, 1.0), Opinion("efficientnet_", "textures", 0.38, 3.0))
"""Where readers of unnamed sheets drew the line between domains that they would and would not call good
(docs/results.md)."""


@dataclass(frozen=True, kw_only=True)
class Triage:
    """A verdict, why, and what to try."""

    kind: Kind
    evidence: str
    advice: str = ""
    """Empty where nothing is wrong."""


def triage(record: Record) -> Triage:
    """The verdict on a finished row; the gravest that its figures prove, by the near ends of their intervals."""
    scores, nearest, making = record.scores, record.nearest, record.making
    kept, (follows, what) = scores["structure_ratio"], followed(scores)
    total = sum(nearest.values()) or 1  # of a night without prompts
    own = nearest.get(record.row.target, 0) / total
    rivals = {prompt: count / total for prompt, count in nearest.items() if prompt != record.row.target}
    rival = max(rivals, key=lambda prompt: rivals[prompt], default="")
    if kept.high < COLLAPSED:
        evidence = f"keeps {kept.value:.0%} of the source's variety (at most {kept.high:.0%})"
        return Triage(kind="collapsed", evidence=evidence, advice=_try(_changes("too much", making)))
    if follows.high < BARELY_FOLLOWS:
        evidence = f"its pictures hardly follow the {what} (direction {follows.value:.2f})"
        return Triage(kind="weak", evidence=evidence, advice=_try(_changes("too little", making)))
    if away := _led_away(scores):
        words = f"{'a target text that fits' if what == 'text' else 'style pictures that fit'} the true images better"
        mildest = _changes("too much", making)[:1]
        return Triage(kind="off-target", evidence=away, advice=_try([words, *mildest]))
    if not record.row.target:
        return _shown(follows, kept, scores, making)
    if own >= FOUND:
        evidence = f"{own:.0%} find their prompt, {kept.value:.0%} of the variety kept{_left(scores)}"
        return _found(scores, evidence, making)
    evidence = f"{own:.0%} find their prompt; {rivals.get(rival, 0):.0%} are taken for {rival!r}"
    if rival == record.row.source:
        return Triage(kind="weak", evidence=evidence, advice=_try(_changes("too little", making)))
    words = f"a target text that sets it apart from {rival!r} (nada plan shows what the guides confuse)"
    return Triage(kind="off-target", evidence=evidence, advice=_try([words, *_changes("elsewhere", making)]))


def _found(scores: Mapping[str, ScoreEntry], evidence: str, making: Making) -> Triage:
    """The verdict on a row with which the judge's CLIP is content, by what else was asked."""
    if "frechet_to_reference" not in scores:
        return Triage(kind="unproven", evidence=evidence, advice=f"look at it, or {REFERENCES}")
    left = {opinion: way_left(scores, opinion) for opinion in SECOND_OPINIONS}
    if None in left.values():
        return Triage(kind="unproven", evidence=evidence, advice=f"look at it, or {NETWORK}")
    lacking = {
        opinion.name: share for opinion, share in left.items() if share is not None and share > opinion.most_left
    }
    if lacking:
        told = " and ".join(f"{share:.0%} of the way to its true {name}" for name, share in lacking.items())
        trouble: Trouble = "too much" if max(lacking.values()) > 1 else "too little"
        return Triage(kind="weak", evidence=f"{told} left; {evidence}", advice=_try(_changes(trouble, making)))
    if is_apart(scores):
        opinion = "none of its pictures lies among its true images"
        return Triage(kind="weak", evidence=f"{opinion}; {evidence}", advice=_try(_changes("too little", making)))
    return Triage(kind="good", evidence=evidence)


def way_left(scores: Mapping[str, ScoreEntry], opinion: Opinion) -> float | None:
    """Share of the way to the reference pictures that is left in one space; None where it was not measured."""
    after, before = (scores.get(f"{opinion.prefix}{name}_to_reference") for name in ("frechet", "frechet_source"))
    if after is None or before is None:
        return None
    return after.value / max(before.value, opinion.least_way)


def is_apart(scores: Mapping[str, ScoreEntry]) -> bool:
    """Whether the pictures and the reference pictures are two worlds to the judge."""
    return scores["precision_to_reference"].value == 0 and scores["coverage_to_reference"].value <= NO_COVERAGE


def followed(scores: Mapping[str, ScoreEntry]) -> tuple[ScoreEntry, str]:
    """How well the pictures go where they were led to, and what led them."""
    style = scores.get("style_similarity")
    return (scores["directional_similarity"], "text") if style is None else (style, "style pictures")


def _shown(follows: ScoreEntry, kept: ScoreEntry, scores: Mapping[str, ScoreEntry], making: Making) -> Triage:
    """The verdict on a domain without a prompt to be found, which is neither collapsed nor led away."""
    evidence = f"its pictures follow the style pictures (direction {follows.value:.2f})"
    if follows.high < MOSTLY_FOLLOWS:
        return Triage(kind="weak", evidence=evidence, advice=_try(_changes("too little", making)))
    return _found(scores, f"{evidence}, {kept.value:.0%} of the variety kept{_left(scores)}", making)


def _led_away(scores: Mapping[str, ScoreEntry]) -> str:
    """What says that a domain is surely further from its true images than the unadapted source; else empty."""
    after, before = scores.get("frechet_to_reference"), scores.get("frechet_source_to_reference")
    if after is None or before is None or after.low <= before.value:
        return ""
    return f"further from its true images than the unadapted source ({after.value:.3f}, from {before.value:.3f})"


def _left(scores: Mapping[str, ScoreEntry]) -> str:
    """How much of the source's distance to the true images is left; empty without true images."""
    after, before = scores.get("frechet_to_reference"), scores.get("frechet_source_to_reference")
    if after is None or before is None or before.value <= 0:
        return ""
    return f", {after.value / before.value:.0%} of the distance to the true images left"


def _changes(trouble: Trouble, making: Making) -> list[str]:
    """What the row's method would change about it, the mildest first."""
    return making.method_object.advice(trouble, making.method_config)


def _try(changes: list[str]) -> str:
    return f"try {', or '.join(changes)}" if changes else ""
