"""A method of the tests' own: every latent moves by one learned offset in W. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nada.methods.base import Assignment, Method
from tests.methods.shift.config import ShiftConfig
from tests.methods.shift.record import ShiftRecord

if TYPE_CHECKING:
    from nada.methods.models import Models
    from tests.methods.shift.making import Shifted, ShiftPass


class Shift(Method[ShiftConfig, ShiftRecord]):
    """The source stays as it is, and learns where its latents should have been."""

    name = "shift"
    config_model = ShiftConfig
    record_model = ShiftRecord
    entry = "tests.methods.shift.making"

    def num_steps(self, config: ShiftConfig) -> int:
        """`iterations`."""
        return config.iterations

    def is_judged_on_the_way(self, config: ShiftConfig) -> bool:
        """Never."""
        return False

    def step_cost(self, config: ShiftConfig) -> dict[str, Any]:
        """The pictures alone."""
        return {"batch_size": config.batch_size}

    def pictures_per_step(self, config: ShiftConfig) -> int:
        """`batch_size`."""
        return config.batch_size

    def num_together(self, config: ShiftConfig) -> int:
        """Four."""
        return 4

    def group(self, assignment: Assignment[ShiftConfig]) -> str:
        """Rows that draw the same latents."""
        return f"{assignment.seed} {assignment.config.batch_size}"

    def begin(self, assignments: Sequence[Assignment[ShiftConfig]], models: Models) -> ShiftPass:
        """See `tests.methods.shift.making`."""
        from tests.methods.shift.making import ShiftPass

        return ShiftPass(assignments, models)

    def open(self, folder: Path, models: Models) -> Shifted:
        """See `tests.methods.shift.making`."""
        from tests.methods.shift.making import load

        return load(folder, models)

    def settings_in_words(self, config: ShiftConfig) -> str:
        """To follow `5 steps`."""
        return f"of {config.batch_size}, learning rate {config.learning_rate}"

    def facts(self, part: ShiftRecord) -> dict[str, str]:
        """How far the latents moved."""
        return {"moved": f"every latent by {part.length:.3g}"}
