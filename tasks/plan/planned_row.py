"""One row of a plan: resolved, keyed, and with what it would cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nada.clip.goal import PromptPair
from nada.config import Section
from nada.methods.base import Method
from nada.methods.registry import load_method
from tasks.caches.reference_pictures import References
from tasks.config.row import Row
from tasks.plan.estimate import CostEstimate
from tasks.row.job import Source
from tasks.store.row_folder import Keys
from tasks.variants.names import made_with

PlannedState = Literal["train", "judge", "current", "left out"]


@dataclass(frozen=True, kw_only=True)
class PlannedRow:
    """One row, resolved."""

    row: Row
    method: str
    """`module:class`."""
    config: Section
    seed: int
    source: Source
    keys: Keys
    state: PlannedState
    """`judge`: made, whole, and to be judged anew; `current`: whole but for its retrieval; `left out`: not among those
    asked for."""
    prepared: tuple[str, ...] = ()
    """Keys of what its method prepares for it, one a model of the guide."""
    references: References | None = None
    """What is known of its reference pictures, if it has any."""
    style: References | None = None
    """The same of the pictures that it learns from."""
    retrieves: bool = False
    """Whether a current row's pictures are to find their prompts anew, for the night's are others."""
    estimate: CostEstimate | None = None
    """What it is expected to cost, if it is to be made or judged."""

    @property
    def domain(self) -> str:
        """Its name."""
        return self.row.domain

    @property
    def checkpoint_of(self) -> str | None:
        """The row whose training kept it, where it is a checkpoint that was picked."""
        made_by = made_with(self.domain)
        return None if made_by == self.domain else made_by

    @property
    def waits_for(self) -> str | None:
        """The row that must be there first."""
        return self.checkpoint_of or self.row.on

    @property
    def goal(self) -> PromptPair:
        """Its prompts."""
        return PromptPair(self.row.source, self.row.target)

    @property
    def method_object(self) -> Method[Any, Any]:
        """Its method."""
        return load_method(self.method)

    @property
    def cost(self) -> CostEstimate:
        """The estimate of a row that is to be made or judged."""
        assert self.estimate is not None
        return self.estimate
