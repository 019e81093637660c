"""A second method: it takes no iterations, and what it leaves is no generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from nada.config import Section
from nada.methods.base import Method, RecordPart
from nada.methods.registry import METHODS


class DreamConfig(Section):
    """How deep."""

    depth: int = Field(2, ge=1)


class Dream(Method[DreamConfig, RecordPart]):
    """Nothing asks it for a picture."""

    name = "dream"
    config_model = DreamConfig
    record_model = RecordPart
    entry = "nada.latents"

    def num_steps(self, config: DreamConfig) -> int:
        """As deep as it goes."""
        return config.depth

    def is_judged_on_the_way(self, config: DreamConfig) -> bool:
        """Never."""
        return False

    def step_cost(self, config: DreamConfig) -> dict[str, Any]:
        """Nothing decides it."""
        return {}

    def pictures_per_step(self, config: DreamConfig) -> int:
        """One."""
        return 1

    def begin(self, assignments: Any, models: Any) -> Any:
        """Is not asked."""
        raise AssertionError("nobody asked for a row")

    def open(self, folder: Path, models: Any) -> Any:
        """Is not asked."""
        raise AssertionError("nobody asked for a picture")


@pytest.fixture
def dream(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one of the registry's, the last."""
    monkeypatch.setitem(METHODS, Dream.name, f"{__name__}:Dream")
