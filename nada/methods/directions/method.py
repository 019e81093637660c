"""Global directions as a method. Imports no torch until something is prepared, made or opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nada.methods.base import Assignment, Method, Place, Preparing, Trouble
from nada.methods.directions.config import ChannelsConfig, DirectionsConfig
from nada.methods.directions.record import DirectionsRecord

MOST_TOGETHER = 64

if TYPE_CHECKING:
    from nada.generators.protocol import Generator
    from nada.generators.registry import Architecture
    from nada.methods.directions.making import DirectionsPass
    from nada.methods.edited_domain import EditedDomain
    from nada.methods.models import Models


class Directions(Method[DirectionsConfig, DirectionsRecord]):
    """The source stays as it is; the channels of its style space that matter to the text are turned up or down."""

    name = "directions"
    config_model = DirectionsConfig
    record_model = DirectionsRecord
    entry = "nada.methods.directions.making"
    preparing_entry = "nada.methods.directions.preparing"
    draws_by_seed = False

    def check(self, config: DirectionsConfig, generator: Generator) -> None:
        """Settings by which no layer could move are refused."""
        from nada.methods.directions.measuring import moving_layers

        moving_layers(generator, config.channels)

    def num_steps(self, config: DirectionsConfig) -> int:
        """One: nothing is trained."""
        return 1

    def is_judged_on_the_way(self, config: DirectionsConfig) -> bool:
        """Never."""
        return False

    def step_cost(self, config: DirectionsConfig) -> dict[str, Any]:
        """The pictures of the strip."""
        return {"pictures": self.pictures_per_step(config)}

    def pictures_per_step(self, config: DirectionsConfig) -> int:
        """Those of the strip."""
        return len(config.strengths) * config.strip_latents

    def graph_bytes(
        self, config: DirectionsConfig, architecture: Architecture, picture_bytes: int, at_once: int | None
    ) -> int:
        """None: nothing goes backward."""
        return 0

    def preparation(self, config: DirectionsConfig) -> ChannelsConfig:
        """What is found out about every channel."""
        return config.channels

    def pictures_to_prepare(self, config: DirectionsConfig, architecture: Architecture) -> int:
        """Two of each channel and latent."""
        channels = config.channels
        moving = [
            layer.num_channels
            for layer in architecture.style_layers()
            if channels.covers(layer.resolution, layer.is_rgb)
        ]
        return 2 * channels.num_images * sum(moving)

    def prepare(self, config: DirectionsConfig, models: Models, places: Sequence[Place]) -> Iterator[Preparing]:
        """See `nada.methods.directions.preparing`."""
        from nada.methods.directions.preparing import prepare

        return prepare(config.channels, models, places)

    def num_together(self, config: DirectionsConfig) -> int:
        """As many as there may be: a row is a lookup."""
        return MOST_TOGETHER

    def group(self, assignment: Assignment[DirectionsConfig]) -> str:
        """Rows that read the same statistics: one worker computes them, and none waits."""
        return " ".join(str(place.path) for place in assignment.prepared)

    def begin(self, assignments: Sequence[Assignment[DirectionsConfig]], models: Models) -> DirectionsPass:
        """See `nada.methods.directions.making`."""
        from nada.methods.directions.making import DirectionsPass

        return DirectionsPass(assignments, models)

    def open(self, folder: Path, models: Models) -> EditedDomain:
        """The source, its styles moved."""
        from nada.methods.directions.making import load

        return load(folder, models)

    def settings_in_words(self, config: DirectionsConfig) -> str:
        """To follow `1 step`.

        >>> Directions().settings_in_words(DirectionsConfig())
        'of alpha 4, beta 0.15, 100 pictures a channel'
        """
        return f"of alpha {config.alpha:g}, beta {config.beta:g}, {config.channels.num_images} pictures a channel"

    def facts(self, part: DirectionsRecord) -> dict[str, str]:
        """Which channels moved.

        >>> part = DirectionsRecord(num_moved=3, num_channels=928, largest=0.4123, by_layer={"b8.conv0": 3}, alpha=4,
        ...     strengths=(0, 1))
        >>> Directions().facts(part)
        {'moved': '3 of 928 channels (b8.conv0 3); the most relevant to the text has 0.412'}
        """
        layers = ", ".join(f"{name} {num}" for name, num in part.by_layer.items())
        channels = f"{part.num_moved} of {part.num_channels} channels ({layers})"
        return {"moved": f"{channels}; the most relevant to the text has {part.largest:.3f}"}

    def pictures(self, part: DirectionsRecord) -> dict[str, str]:
        """The strip of strengths."""
        strengths = ", ".join(f"{strength * part.alpha:g}" for strength in part.strengths)
        caption = f"A latent a row; from left to right alpha {strengths}."
        return dict.fromkeys(("strengths.webp", "strengths.png"), caption)  # the latter of earlier versions

    def advice(self, trouble: Trouble, config: DirectionsConfig) -> list[str]:
        """Weaker or stronger, and through fewer channels or more."""
        alpha, beta = config.alpha, config.beta
        fewer, more = f"beta {beta + 0.05:.2g} (now {beta:g})", f"beta {max(0.0, beta - 0.05):.2g} (now {beta:g})"
        if trouble == "too much":
            return [f"alpha {alpha / 2:g} (now {alpha:g})", fewer]
        return [f"alpha {alpha * 1.5:g} (now {alpha:g})", more] if trouble == "too little" else [fewer]
