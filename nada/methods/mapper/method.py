"""The latent mapper as a method: latents learn where to go. Imports no torch until a row is made or opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nada.methods.base import Assignment, Method, Trouble
from nada.methods.mapper import wording
from nada.methods.mapper.config import MapperConfig
from nada.methods.mapper.record import MapperRecord

if TYPE_CHECKING:
    from nada.generators.protocol import Generator
    from nada.methods.edited_domain import EditedDomain
    from nada.methods.mapper.making import MapperPass
    from nada.methods.models import Models


class Mapper(Method[MapperConfig, MapperRecord]):
    """The source's weights stay; its latents move to where the text is. On an adapted row this is mining."""

    name = "mapper"
    config_model = MapperConfig
    record_model = MapperRecord
    entry = "nada.methods.mapper.making"

    def check(self, config: MapperConfig, generator: Generator) -> None:
        """Groups of which a small generator has no row are refused, if no other is on."""
        from nada.methods.mapper.network import groups_there

        groups_there(config.groups, generator.num_ws)

    def num_steps(self, config: MapperConfig) -> int:
        """`iterations`."""
        return config.iterations

    def is_judged_on_the_way(self, config: MapperConfig) -> bool:
        """`keep: best`."""
        return config.keep == "best"

    def step_cost(self, config: MapperConfig) -> dict[str, Any]:
        """Everything but the number of steps."""
        return config.model_dump(mode="json", exclude={"iterations"})

    def pictures_per_step(self, config: MapperConfig) -> int:
        """`batch_size`."""
        return config.batch_size

    def begin(self, assignments: Sequence[Assignment[MapperConfig]], models: Models) -> MapperPass:
        """See `nada.methods.mapper.making`."""
        from nada.methods.mapper.making import MapperPass

        return MapperPass(assignments, models)

    def open(self, folder: Path, models: Models) -> EditedDomain:
        """The source, drawing moved latents."""
        from nada.methods.mapper.making import load

        return load(folder, models)

    def settings_in_words(self, config: MapperConfig) -> str:
        """See `nada.methods.mapper.wording`."""
        return wording.settings_in_words(config)

    def facts(self, part: MapperRecord) -> dict[str, str]:
        """See `nada.methods.mapper.wording`."""
        return wording.facts(part)

    def advice(self, trouble: Trouble, config: MapperConfig) -> list[str]:
        """See `nada.methods.mapper.wording`."""
        return wording.advice(trouble, config)
