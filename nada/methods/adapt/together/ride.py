"""Light rows in step: one batch and one backward pass for all, then each row's own loss, update, average and trace.

A row's last bits depend on how many pictures are computed at once, and not on what the others show. So the batch keeps
the shape that was foreseen when the rows began: the seat of a row that failed or was stopped is filled with a copy of
another one's pictures, which nobody looks at. Whatever befalls the others, a row leaves the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nada.errors import NadaError, StateError
from nada.generators.light.generator import LightGenerator
from nada.generators.light.moves import StyleMoves
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.step_inputs import StepInputs
from nada.methods.adapt.together.batch import Shown, detached, see_together
from nada.methods.adapt.trace import TrainingStep
from nada.micro_batch import MicroBatch, parts


@dataclass(frozen=True)
class Seat:
    """The place of a row among those with which it began."""

    index: int
    lengths: tuple[int, ...]
    """Iterations of every one of them: how many ride at each step, if none fails or is stopped."""

    def state_dict(self) -> dict[str, Tensor]:
        """As named tensors, for a row that goes on without those that ended."""
        return {"seat": torch.tensor(self.index), "lengths": torch.tensor(self.lengths)}

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, Tensor], iterations: int) -> Seat:
        """Read it back.

        Args:
            tensors: what `state_dict` returned.
            iterations: of the row.

        Raises:
            StateError: it is something else.
        """
        try:
            seat = cls(int(tensors["seat"]), tuple(map(int, tensors["lengths"])))
            fits = seat.index >= 0 and seat.lengths[seat.index] == iterations
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as err:
            raise StateError(f"state: no place among rows that ride together ({err}); start over") from err
        if not fits:
            raise StateError(f"state: the place of a row of other iterations than {iterations}; start over")
        return seat


class Ride:
    """Adaptations that take their steps together.

    Args:
        riders: light rows of one generator and guide whose steps have equal shapes, by their seat; before their first
            step, or restored after equally many. One that begins anew among others is behind, and learns no less.
        lengths: see `Seat`.
        micro_batch: pictures at once, of all rows together. Where fewer fit than all, whole rows are computed one after
            the other; where not even those of one row fit, parts of it.
    """

    def __init__(self, riders: Mapping[int, Adaptation], lengths: Sequence[int], micro_batch: MicroBatch) -> None:
        self.riders, self.lengths, self.micro_batch = dict(riders), lengths, micro_batch
        for rider in riders.values():
            rider.micro_batch = micro_batch

    def step(self) -> dict[int, TrainingStep | NadaError]:
        """One step of every row that rides: its news, by its seat. A row that failed must leave.

        Raises:
            OutOfMemoryError: not even one picture at a time.
        """
        news: dict[int, TrainingStep | NadaError] = {}
        index = max(len(rider.trace) for rider in self.riders.values())
        seats = [seat for seat, length in enumerate(self.lengths) if length > index or seat in self.riders]
        inputs: dict[int, StepInputs] = {}
        for seat, rider in self.riders.items():
            try:
                inputs[seat] = rider.begin_step()
            except NadaError as err:
                news[seat] = err
        for seat, terms in self._backward(seats, inputs).items():
            try:
                news[seat] = self.riders[seat].end_step(terms)
            except NadaError as err:
                news[seat] = err
        return news

    def leave(self, seat: int) -> None:
        """The row takes no further step."""
        del self.riders[seat]

    def _backward(self, seats: Sequence[int], inputs: Mapping[int, StepInputs]) -> dict[int, dict[str, Tensor]]:
        """Every row's gradients, and its detached terms by its seat."""
        if not inputs:
            return {}
        each = len(next(iter(inputs.values())))

        def work(size: int) -> dict[int, dict[str, Tensor]]:
            riders = {seat: self.riders[seat] for seat in inputs}
            if size < each:
                return {
                    seat: self.micro_batch.backward("training", inputs[seat], rider.losses, rider.optimizer)
                    for seat, rider in riders.items()
                }
            for rider in riders.values():
                rider.optimizer.zero_grad(set_to_none=True)
            terms: dict[int, dict[str, Tensor]] = {}
            for part in parts(len(seats), size // each):
                terms |= self._of_part(seats[part], inputs)
            return terms

        return self.micro_batch.fit("training", each * len(seats), work)

    def _of_part(self, seats: Sequence[int], inputs: Mapping[int, StepInputs]) -> dict[int, dict[str, Tensor]]:
        """The same of some seats, in one batch."""
        present = {seat: self.riders[seat] for seat in seats if seat in inputs}
        if not present:
            return {}
        first = next(iter(present))
        copy = Shown(detached(self._moves(first)), inputs[first])
        shown = [Shown(self._moves(seat), inputs[seat]) if seat in present else copy for seat in seats]
        seen = dict(zip(seats, see_together(shown, self.riders[first]), strict=True))
        terms = {
            seat: rider.objective(rider.beside_source(inputs[seat], *seen[seat])) for seat, rider in present.items()
        }
        torch.stack([of_row["loss"] for of_row in terms.values()]).sum().backward()  # type: ignore[no-untyped-call]
        return {seat: {name: term.detach() for name, term in of_row.items()} for seat, of_row in terms.items()}

    def _moves(self, seat: int) -> StyleMoves:
        target = self.riders[seat].target
        assert isinstance(target, LightGenerator)
        return target.moves
