"""Which checkpoint of a row to keep, and when to look for no better one, from what the judge saw on the way.

Directional similarity, by the judge and on latents that train nothing, rises while the edit forms, then levels off:
past that knee further steps cost time and now and then the picture. Similarity to a text alone would reward a
collapse, so a checkpoint counts only while its pictures keep differing in what they show.

Legend: M images of a probe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nada.clip.goal import Goal
from nada.judge.features import Embedder, SetFeatures, unit
from nada.judge.spread import COLLAPSED, diversity
from nada.judge.texts import directional_similarities, similarities

GAIN = 0.01  # of directional similarity, in [-1, 1]: less in PATIENCE probes is a plateau
PATIENCE = 4  # probes; some dip while the optimizer swings
MOVED = 0.5  # directional similarity below which no plateau is believed: most edits go elsewhere
FLOOR = 0.5  # of the source's structural diversity: less is a collapse
UNMOVED = 0.2  # directional similarity below which a row has not set off: it comes up in passing on the way elsewhere


@dataclass(frozen=True)
class Probe:
    """What the judge saw after some step."""

    step: int
    """Steps trained."""
    edit: float
    """Directional similarity, mean over the probe's images, in [-1, 1]."""
    similarity: float
    """Cosine to the goal's place, such as the target prompt, mean, in [-1, 1]."""
    diversity: float
    """Structural diversity, of the source's on the same latents."""
    drift: float
    """Distance of the mean embedding from the source's, in [0, 2]."""


@dataclass(frozen=True)
class Choice:
    """What the probes so far say."""

    step: int
    """Of the best probe: its weights are kept."""
    stop: bool
    """Nothing better is expected."""
    why: str
    """In words."""


def look(clip: Embedder, goal: Goal, source: SetFeatures, target: SetFeatures, step: int) -> Probe:
    """The figures of a probe.

    Args:
        clip: the judge, which must not have guided.
        goal: the row's.
        source: what the source generator shows, M images.
        target: what the adapted generator shows on the same latents.
        step: steps trained.
    """
    direction, place = (unit(seen.detach().double().cpu().numpy()) for seen in goal.seen_by(clip))
    spread = diversity(source.structure)
    return Probe(
        step=step,
        edit=float(directional_similarities(source.emb, target.emb, direction).mean()),
        similarity=float(similarities(target.emb, place).mean()),
        diversity=diversity(target.structure) / spread if spread > COLLAPSED else 1.0,
        drift=float(np.linalg.norm(target.emb.mean(axis=0) - source.emb.mean(axis=0))),
    )


def choose(probes: Sequence[Probe], maximum: int, give_up_after: int = 0) -> Choice:
    """The best probe so far, and whether to stop: on a plateau, after a collapse, without hope, or at the last step.

    Best is the highest directional similarity among the probes that kept FLOOR of the source's diversity; without
    such a probe, the most varied one. A plateau is PATIENCE probes that gain less than GAIN on those before; there is
    none below MOVED, so an edit that never forms is given all its steps, or, where `give_up_after` says so, that many
    probes: if none of them came to UNMOVED.

    Args:
        probes: in the order of their steps, at least one.
        maximum: steps after which a row ends anyway.
        give_up_after: probes after which a row that has not moved ends; 0 for never.
    """
    varied = [probe for probe in probes if probe.diversity >= FLOOR]
    best = max(varied, key=lambda probe: probe.edit) if varied else max(probes, key=lambda probe: probe.diversity)
    reason = _reason_to_stop(probes, varied) or _reason_to_give_up(probes, give_up_after)
    is_last = probes[-1].step >= maximum
    ending = f"stopped after {probes[-1].step}: {reason}" if reason else f"trained {probes[-1].step} of {maximum}"
    weak = f", a weak edit (below {MOVED:g})" if best.edit < MOVED else ""
    figures = f"directional similarity {best.edit:.3f}{weak}, structural diversity {best.diversity:.0%} of the source's"
    return Choice(best.step, bool(reason) or is_last, f"step {best.step}, {figures}; {ending}")


def _reason_to_stop(probes: Sequence[Probe], varied: Sequence[Probe]) -> str:
    """Why nothing better is expected; empty if something is."""
    recent = probes[-PATIENCE:]
    if len(recent) < PATIENCE:
        return ""
    if not any(probe in varied for probe in recent):
        return f"{PATIENCE} probes below {FLOOR:.0%} of the source's structural diversity"
    before = max((probe.edit for probe in varied if probe.step < recent[0].step), default=-1.0)
    gained = max(0.0, *(probe.edit - before for probe in recent if probe in varied))
    if before >= MOVED and gained < GAIN:
        return f"{PATIENCE} probes gained {gained:.3f} in directional similarity, less than {GAIN:g}"
    return ""


def _reason_to_give_up(probes: Sequence[Probe], after: int) -> str:
    """Why the row goes nowhere; empty while it may yet, or did."""
    highest = max(probe.edit for probe in probes)
    if after == 0 or len(probes) < after or highest >= UNMOVED:
        return ""
    return f"none of {len(probes)} probes came to {UNMOVED:g} in directional similarity: no move towards the text"
