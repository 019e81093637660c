"""Lengths of time, scores and storage in words, for pages and terminals."""

from __future__ import annotations

from tasks.store.record import Making, Record

STORED = "stored"  # of a method's facts, the one that says what storing did to a result; it stands with the weights


def facts(making: Making) -> dict[str, str]:
    """What the row's method tells of how it went: a word -> a sentence."""
    return making.method_object.facts(making.method_part)


def stored(making: Making) -> str:
    """How a row's weights are written, and what that did to them."""
    if told := facts(making).get(STORED):
        return told
    parents = " and ".join(making.bases)
    return f"what changed against the generator with sha256 {parents}" if parents else "whole"


def steps(making: Making) -> str:
    """How many steps the kept result has behind it, of how many it might have had."""
    if making.kept_step == making.most_steps:
        return str(making.most_steps)
    return f"{making.kept_step} of at most {making.most_steps}"


def lasted(seconds: float) -> str:
    """A measured length of time.

    >>> lasted(42.4), lasted(200), lasted(7300)
    ('42 s', '3 min 20 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def scores_in_words(record: Record) -> str:
    """The scores that say most, in one line."""
    scores = {name: score.value for name, score in record.scores.items()}
    words = [f"{scores['retrieval_accuracy']:.0%} find their prompt"] if "retrieval_accuracy" in scores else []
    if "style_similarity" in scores:
        words.append(f"direction to the style pictures {scores['style_similarity']:.2f}")
    if "frechet_to_reference" in scores:
        before, after = scores["frechet_source_to_reference"], scores["frechet_to_reference"]
        words.append(f"distance to the truth {before:.3f} -> {after:.3f}")
    words.append(f"variety kept {scores['structure_ratio']:.0%}")
    if told := facts(record.making).get(STORED):
        words.append(told)
    return ", ".join(words)
