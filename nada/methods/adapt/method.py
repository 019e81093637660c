"""StyleGAN-NADA as a method: fine-tunes a generator by text. Imports no torch until a row is made or opened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nada.methods.adapt import wording
from nada.methods.adapt.config import FEW_PICTURES, AdaptConfig
from nada.methods.adapt.record import AdaptRecord
from nada.methods.base import Assignment, Method, Trouble

SHAPE = (
    "together", "batch_size", "parameters", "train", "style_mixing", "latent_bank", "precision", "frozen", "selection",
)  # fmt: skip
"""Options in which rows agree that take their steps together."""
SEEN = ("patch_directional_weight", "texture_weight")
"""Losses for which more is seen of each picture; rows that ride together all have them, or none."""

if TYPE_CHECKING:
    from nada.generators.light.generator import LightGenerator
    from nada.generators.protocol import Generator
    from nada.generators.registry import Architecture, Network
    from nada.methods.adapt.making import AdaptPass
    from nada.methods.models import Models


class Adapt(Method[AdaptConfig, AdaptRecord]):
    """The weights of a pretrained generator, or a few numbers of its styles, learn: its pictures are to differ from the
    source's as the texts differ.
    """

    name = "adapt"
    config_model = AdaptConfig
    record_model = AdaptRecord
    entry = "nada.methods.adapt.making"
    weights_name = "generator.safetensors"
    needs_generator = True

    def check(self, config: AdaptConfig, generator: Generator) -> None:
        """A selection of more layers than there are is refused."""
        from nada.methods.adapt.layer_selection import num_selected

        num_selected(config.selection, generator)

    def doubts(self, config: AdaptConfig) -> list[str]:
        """Losses of pairs with few of them, and a bank that is too large to be met again."""
        found = []
        if config.batch_size < FEW_PICTURES:
            few = f"with a batch_size of {config.batch_size}; {FEW_PICTURES} or more tell how pictures differ"
            found = [f"{name}: {getattr(config, name):g} {few}" for name in config.of_pairs]
        if config.latent_bank >= config.iterations * config.batch_size:
            steps = f"{config.iterations} steps of {config.batch_size}"
            found.append(f"latent_bank: {config.latent_bank} latents for {steps}; none is met twice")
        return found

    def measured_from(self, config: AdaptConfig) -> Literal["start", "base"]:
        """`frozen`."""
        return config.frozen

    def num_steps(self, config: AdaptConfig) -> int:
        """`iterations`."""
        return config.iterations

    def is_judged_on_the_way(self, config: AdaptConfig) -> bool:
        """`stop: auto`."""
        return config.stop == "auto"

    def with_steps(self, config: AdaptConfig, iterations: int) -> AdaptConfig:
        """That many, with `stop: fixed`."""
        return AdaptConfig.model_validate({**config.model_dump(), "iterations": iterations, "stop": "fixed"})

    def step_cost(self, config: AdaptConfig) -> dict[str, Any]:
        """Everything but the number of steps, and what only turns their direction."""
        others = {"iterations", "style_weight", "frozen", "checkpoints", "give_up_after"}
        return config.model_dump(mode="json", exclude=others)

    def pictures_per_step(self, config: AdaptConfig) -> int:
        """`batch_size`."""
        return config.batch_size

    def graph_bytes(
        self, config: AdaptConfig, architecture: Architecture, picture_bytes: int, at_once: int | None
    ) -> int:
        """Of the training batch of all that ride together, or of the layer selection's where that is larger."""
        selects = config.selection.k != "all" and config.train != "rgb"
        riding = self.num_together(config) * config.batch_size
        pictures = max(riding, config.most_pictures) if selects else riding
        return picture_bytes * (pictures if at_once is None else min(pictures, at_once))

    def num_together(self, config: AdaptConfig) -> int:
        """`together` of light rows; weights learn alone."""
        return config.together if config.is_light else 1

    def group(self, assignment: Assignment[AdaptConfig]) -> str:
        """Light rows of one seed, which meet the same latents, and of equal shapes of step."""
        config = assignment.config
        if not config.is_light:
            return assignment.row
        shape = config.model_dump(mode="json", include=set(SHAPE))
        return json.dumps([assignment.seed, shape, [getattr(config, loss) > 0 for loss in SEEN]])

    def begin(self, assignments: Sequence[Assignment[AdaptConfig]], models: Models) -> AdaptPass:
        """See `nada.methods.adapt.making`."""
        from nada.methods.adapt.making import AdaptPass

        return AdaptPass(assignments, models)

    def open(self, folder: Path, models: Models) -> Network | LightGenerator:
        """The adapted generator; a light one shares the pretrained generator of `models`."""
        from nada.methods.adapt.artifact import load

        return load(folder, models)

    def of_checkpoint(self, part: AdaptRecord, step: int) -> AdaptRecord:
        """It was not the judge who chose it."""
        if part.early_stopping is None:
            return part
        return part.model_copy(
            update={"early_stopping": part.early_stopping.model_copy(update={"why": f"step {step}, picked by hand"})}
        )

    def settings_in_words(self, config: AdaptConfig) -> str:
        """See `nada.methods.adapt.wording`."""
        return wording.settings_in_words(config)

    def facts(self, part: AdaptRecord) -> dict[str, str]:
        """See `nada.methods.adapt.wording`."""
        return wording.facts(part)

    def advice(self, trouble: Trouble, config: AdaptConfig) -> list[str]:
        """See `nada.methods.adapt.wording`."""
        return wording.advice(trouble, config)
