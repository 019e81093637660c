"""Latent optimisation as a method. Imports no torch until a row is made or opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nada.errors import LatentsError, ParamsError
from nada.latent_files import read_latents
from nada.methods.base import Assignment, Method, Trouble
from nada.methods.optimise.config import OptimiseConfig
from nada.methods.optimise.record import OptimiseRecord

if TYPE_CHECKING:
    from nada.generators.domain import Domain
    from nada.generators.protocol import Generator
    from nada.methods.models import Models
    from nada.methods.optimise.making import OptimisePass


class Optimise(Method[OptimiseConfig, OptimiseRecord]):
    """One latent moves until its picture is near the text; the same move is then an edit of every other."""

    name = "optimise"
    config_model = OptimiseConfig
    record_model = OptimiseRecord
    entry = "nada.methods.optimise.making"

    def files(self, config: OptimiseConfig) -> dict[str, str]:
        """The latent's, where it has one."""
        return {} if config.latents is None else {"latents": config.latents}

    def check_files(self, config: OptimiseConfig, base_sha256: str) -> None:
        """A file of one latent, of this generator if it says of which."""
        if config.latents is not None:
            found = read_latents(Path(config.latents))
            if found.generator not in (None, base_sha256):
                raise LatentsError(f"{config.latents}: found in another generator than this row's; invert it anew")

    def check(self, config: OptimiseConfig, generator: Generator) -> None:
        """Latents of other shapes than the generator's are refused, where the file does not say of which it is.

        A file that is not there is told with the rows that use it.
        """
        if config.latents is None or not Path(config.latents).is_file():
            return
        try:
            found = read_latents(Path(config.latents))
            if found.generator is not None:
                return
            ws = found.ws(generator.num_ws, generator.w_dim, "the generator")
        except LatentsError as err:
            raise ParamsError(f"latents: {err}") from err
        if len(ws) != 1:
            raise ParamsError(f"latents: {config.latents}: {len(ws)} latents; one is optimised")

    def num_steps(self, config: OptimiseConfig) -> int:
        """`iterations`."""
        return config.iterations

    def is_judged_on_the_way(self, config: OptimiseConfig) -> bool:
        """Never."""
        return False

    def step_cost(self, config: OptimiseConfig) -> dict[str, Any]:
        """The loss alone: a directional one looks at two pictures."""
        return {"loss": config.loss}

    def pictures_per_step(self, config: OptimiseConfig) -> int:
        """One."""
        return 1

    def begin(self, assignments: Sequence[Assignment[OptimiseConfig]], models: Models) -> OptimisePass:
        """See `nada.methods.optimise.making`."""
        from nada.methods.optimise.making import OptimisePass

        return OptimisePass(assignments, models)

    def open(self, folder: Path, models: Models) -> Domain:
        """The source, its latents or styles moved."""
        from nada.methods.optimise.edit import load

        return load(folder, models)

    def settings_in_words(self, config: OptimiseConfig) -> str:
        """To follow `300 steps`.

        >>> Optimise().settings_in_words(OptimiseConfig(latents="me.npz", space="s"))
        'in S from me.npz, learning rate 0.1, distance weighs 0.008'
        """
        start = "" if config.latents is None else f" from {config.latents}"
        loss = ", directional" if config.loss == "directional" else ""
        rest = f"learning rate {config.learning_rate}, distance weighs {config.latent_weight}"
        return f"in {config.space.upper()}{start}{loss}, {rest}"

    def pictures(self, part: OptimiseRecord) -> dict[str, str]:
        """The latent itself."""
        caption = f"The latent of {part.latent}, before and after."
        return dict.fromkeys(("edit.webp", "edit.png"), caption)  # the latter of earlier versions

    def facts(self, part: OptimiseRecord) -> dict[str, str]:
        """What became of the latent itself; other pictures are judged."""
        moved = f"cosine to the text {part.similarity_before:.3f}, then {part.similarity_after:.3f}"
        return {"edited": f"the latent of {part.latent}, moved by {part.distance:.3g}: {moved}; the picture shows it"}

    def advice(self, trouble: Trouble, config: OptimiseConfig) -> list[str]:
        """Further along, or not so far."""
        now, spaces = config.latent_weight, {"w": "w+", "w+": "s"}
        if trouble == "too much":
            return [f"latent_weight {2 * now or 0.008:g} (now {now:g})", f"iterations {max(1, config.iterations // 2)}"]
        further = [f"space: {spaces[config.space]}"] if config.space in spaces and trouble == "too little" else []
        return [f"latent_weight {now / 2:g} (now {now:g})", *further]
