"""A mapper in words: its settings, what was gained, and what to change about it."""

from __future__ import annotations

from nada.methods.base import Trouble
from nada.methods.mapper.config import MapperConfig
from nada.methods.mapper.record import MapperRecord


def settings_in_words(config: MapperConfig) -> str:
    """What a reader wants to know of the settings, to follow `300 steps`.

    >>> settings_in_words(MapperConfig(fine=False))
    'of 2, learning rate 0.5, coarse and medium rows, scale 0.1'
    """
    groups = " and ".join(config.groups) if len(config.groups) < 3 else "all"
    return f"of {config.batch_size}, learning rate {config.learning_rate}, {groups} rows, scale {config.scale}"


def facts(part: MapperRecord) -> dict[str, str]:
    """Whether the judge saw a gain, and which.

    >>> from nada.methods.mapper.record import Kept
    >>> kept = Kept(gain=0.113, gain_error=0.0049, diversity=0.95, num_images=64, probes=4, seconds=3.5)
    >>> facts(MapperRecord(first_loss=0.9, last_loss=0.4, is_kept=True, kept=kept))["gained"]
    'by the judge, 64 pictures moved along the text by 0.113 (standard error 0.005), with 95% of the variety before'
    """
    if (seen := part.kept) is None:
        return {}
    moved = f"{seen.num_images} pictures moved along the text by {seen.gain:.3f} (standard error {seen.gain_error:.3f})"
    figures = f"{moved}, with {seen.diversity:.0%} of the variety before"
    if part.is_kept:
        return {"gained": f"by the judge, {figures}"}
    return {"gained": f"nothing that is sure, so it draws exactly what it started from; at the end {figures}"}


def advice(trouble: Trouble, config: MapperConfig) -> list[str]:
    """Changes that may help, the mildest first."""
    now, weight = config.iterations, config.latent_weight
    if trouble == "too much":
        return [f"latent_weight {2 * weight:g} (now {weight:g})" if weight else "a latent_weight above 0"]
    further = [f"latent_weight {weight / 4:g} (now {weight:g})"] if weight else []
    return [*further, f"iterations {2 * now} (now {now})", "method adapt, for what no latent of this source shows"]
