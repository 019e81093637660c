"""Rows that ride together, from their first step, or from their states, to the end of the last one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from nada.errors import NadaError
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.together.ride import Ride, Seat
from nada.methods.adapt.trace import TrainingStep
from nada.methods.base import RowError, Step
from nada.micro_batch import MicroBatch


class RidingRow(Protocol):
    """A row of a pass; `nada.methods.adapt.making.AdaptedRow` is one."""

    seat: Seat | None
    is_over: bool

    @property
    def adaptation(self) -> Adaptation:
        """Its loop, whose steps are taken here."""

    def after(self, step: TrainingStep, at_once: int) -> list[Step]:
        """News of a step."""


def ride_together(rows: Mapping[str, RidingRow]) -> Iterator[Step | RowError]:
    """Steps of all rows, in turns. Whoever ends leaves, and is told of before the others.

    What follows a step is done for all rows before any is told, and rows that are over are told first: so whenever
    states are taken, those of the rows that are left belong together.
    """
    seated: dict[int, tuple[str, RidingRow]] = {}
    riders: dict[int, Adaptation] = {}
    for name, row in rows.items():
        assert row.seat is not None
        seated[row.seat.index], lengths = (name, row), row.seat.lengths
        try:
            riders[row.seat.index] = row.adaptation
        except NadaError as err:
            yield RowError(row=name, error=err)
    if not riders:
        return
    ride = Ride(riders, lengths, MicroBatch(min(rider.micro_batch.size for rider in riders.values())))
    while ride.riders:
        try:
            yield from _step(ride, seated)
        except NadaError as err:
            yield from [RowError(row=seated[seat][0], error=err) for seat in ride.riders]
            return


def _step(ride: Ride, seated: Mapping[int, tuple[str, RidingRow]]) -> list[Step | RowError]:
    at_once, ended, going_on = ride.micro_batch.size, list[Step | RowError](), list[Step | RowError]()
    for seat, found in ride.step().items():
        name, row = seated[seat]
        try:
            if isinstance(found, NadaError):
                raise found
            news = row.after(found, at_once)
        except NadaError as err:
            ended.append(RowError(row=name, error=err))
        else:
            (ended if row.is_over else going_on).extend(news)
            if not row.is_over:
                continue
        ride.leave(seat)
    return [*ended, *going_on]
