"""An adaptation in words: its settings, how it went, and what to change about it."""

from __future__ import annotations

from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.record import AdaptRecord
from nada.methods.base import Trouble

LATER_LOSSES = (
    ("moments_weight", "moments"),
    ("patch_directional_weight", "patches"),
    ("manifold_weight", "manifold"),
    ("in_domain_angle_weight", "in-domain angle"),
    ("feature_weight", "feature distance"),
    ("texture_weight", "textures"),
    ("elastic_weight", "elastic weights"),
)
"""In words; told where they are in use."""


def settings_in_words(config: AdaptConfig) -> str:
    """What a reader wants to know of the settings, to follow `300 steps`.

    >>> settings_in_words(AdaptConfig())
    'of 2, learning rate 0.0016, convs, k all'
    >>> settings_in_words(AdaptConfig(batch_size=4, in_domain_angle_weight=5, selection={"layers": "texture"}))
    'of 4, learning rate 0.0016, convs, k all of texture, in-domain angle 5'
    >>> settings_in_words(AdaptConfig(latent_bank=64, precision="bfloat16", selection={"k": 3, "latents": "batch"}))
    'of 2, learning rate 0.0016, convs, k 3 by the batch, bank of 64 latents, bfloat16'
    """
    selection = config.selection
    learns = config.train if config.parameters == "full" else f"{config.parameters} of {config.train}"
    if config.sparsity > 0:
        learns += f", {1 - config.sparsity:.0%} kept"
    layers = f"k {selection.k}" if selection.layers == "all" else f"k all of {selection.layers}"
    finest = f" from {selection.min_resolution} px" if selection.min_resolution > 4 else ""
    often = "" if selection.every == 1 else f" every {selection.every}" if selection.every != "once" else " once"
    often += " by the batch" if selection.latents == "batch" else ""
    losses = "".join(f", {words} {getattr(config, name):g}" for name, words in LATER_LOSSES if getattr(config, name))
    bank = f", bank of {config.latent_bank} latents" if config.latent_bank else ""
    precision = "" if config.precision == "float32" else f", {config.precision}"
    chosen = f"{layers}{finest}{often}{bank}{precision}{losses}"
    return f"of {config.batch_size}, learning rate {config.learning_rate}, {learns}, {chosen}"


def facts(part: AdaptRecord) -> dict[str, str]:
    """How it went: why this checkpoint was `chosen`, and what being `stored` did to the pictures.

    >>> from nada.methods.adapt.record import Rounding
    >>> rounding = Rounding(largest_levels=2, mean_levels=0.0312, num_images=12)
    >>> facts(AdaptRecord(first_loss=0.9, last_loss=0.4, rounding=rounding))
    {'stored': 'in float16: 12 pictures moved by 0.031 of 255 levels on average, by 2 at most'}
    """
    found = {}
    if part.early_stopping is not None:
        found["chosen"] = part.early_stopping.why
    if (rounding := part.rounding) is not None:
        moved = f"{rounding.mean_levels:.2g} of 255 levels on average, by {rounding.largest_levels} at most"
        found["stored"] = f"in float16: {rounding.num_images} pictures moved by {moved}"
    return found


def advice(trouble: Trouble, config: AdaptConfig) -> list[str]:
    """Changes that may help, the mildest first."""
    now = config.iterations
    if trouble == "too much":
        return [f"iterations {max(1, now // 2)} (now {now})", *_ways_to_less(config)]
    return [f"iterations {2 * now} (now {now})", *(_ways_to_more(config) if trouble == "too little" else [])]


def _ways_to_less(config: AdaptConfig) -> list[str]:
    """What leaves a domain more of its variety."""
    ways = ["a smaller global_weight: it rewards one picture for all"] if config.global_weight > 0 else []
    if config.selection.k == config.selection.layers == "all" and config.train != "rgb":
        ways.append("a recipe with selection.k: auto")
    return ways


def _ways_to_more(config: AdaptConfig) -> list[str]:
    """What moves a domain further."""
    if config.parameters != "full":
        return ["a recipe with parameters: full"]
    for option in ("k", "layers"):
        if getattr(config.selection, option) != "all":
            return [f"a recipe with selection.{option}: all"]
    return ["a recipe that trains convolutions as well, such as style"] if config.train == "rgb" else []
