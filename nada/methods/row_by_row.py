"""A pass of rows that are made one after the other, each on its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from nada.errors import NadaError
from nada.generators.domain import Domain
from nada.methods.base import Made, Pass, RowError, Step


class PassRow(Protocol):
    """One row of such a pass; see `Pass` for what each is asked."""

    def steps(self) -> Iterator[Step]:
        """From the first step, or where a state left off, to the last."""

    def state_dict(self) -> dict[str, Tensor]:
        """See `Pass.state_dict`."""

    def load_state_dict(self, tensors: dict[str, Tensor]) -> int:
        """See `Pass.load_state_dict`."""

    def domain(self) -> Domain:
        """See `Pass.domain`."""

    def save(self, folder: Path) -> Made:
        """See `Pass.save`."""


class RowByRow(Pass):
    """Rows by name; one that fails leaves, and the next begins."""

    def __init__(self, rows: Mapping[str, PassRow]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[Step | RowError]:
        for name, row in self._rows.items():
            try:
                yield from row.steps()
            except NadaError as err:
                yield RowError(row=name, error=err)

    def state_dict(self, row: str) -> dict[str, Tensor]:
        """See `Pass.state_dict`."""
        return self._rows[row].state_dict()

    def load_state_dict(self, row: str, tensors: dict[str, Tensor]) -> int:
        """See `Pass.load_state_dict`."""
        return self._rows[row].load_state_dict(tensors)

    def domain(self, row: str) -> Domain:
        """See `Pass.domain`."""
        return self._rows[row].domain()

    def save(self, row: str, folder: Path) -> Made:
        """See `Pass.save`."""
        return self._rows[row].save(folder)
