"""How many samples are computed at once: as many as asked for, halved whenever memory runs out."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from nada.errors import OutOfMemoryError

T = TypeVar("T")
# What PyTorch says where it raises no error of a class of its own: its CPU allocator, oneDNN, and CUDA's libraries.
SIGNS = (
    "can't allocate memory",
    "std::bad_alloc",
    "could not create a primitive",
    "could not execute a primitive",
    "_STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
)


class Splittable(Protocol):
    """The inputs of a step, for N samples."""

    def __len__(self) -> int:
        """N."""

    def split(self, size: int) -> Iterator[Self]:
        """Consecutive parts of at most `size` samples."""


InputsT = TypeVar("InputsT", bound=Splittable)


class MicroBatch:
    """At most `size` samples at once. Once halved, it stays so."""

    def __init__(self, size: int) -> None:
        self.size = size

    def fit(self, where: str, count: int, work: Callable[[int], T]) -> T:
        """work(size) for `count` samples, again with half the size each time that memory runs out.

        Args:
            where: names the work in errors.
            count: samples in all; the size never exceeds it.
            work: computes all of them, `size` at a time; a call that fails leaves nothing that the next one counts.

        Raises:
            OutOfMemoryError: not even one sample at a time.
        """
        while True:
            size = min(self.size, count)
            try:
                return work(size)
            except (RuntimeError, MemoryError) as err:
                if not ran_out(err):
                    raise
                if size == 1:
                    reason = str(err).strip().splitlines() or [type(err).__name__]
                    raise OutOfMemoryError(
                        f"{where}: out of memory even with one picture at a time ({reason[0]}); use fewer "
                        "night.workers, a smaller generator or CLIP, or a device with more memory"
                    ) from err
            # Out here the error is gone, and with it the frames that held the failed work's tensors.
            self.size = (size + 1) // 2
            give_back()

    def each(self, where: str, count: int, work: Callable[[slice], T]) -> Iterator[T]:
        """work(slice) for consecutive slices that cover `count`; a slice that does not fit is cut.

        Raises:
            OutOfMemoryError: see `fit`.
        """
        done = 0
        while done < count:
            start = done

            def next_slice(size: int, start: int = start) -> tuple[int, T]:
                return start + size, work(slice(start, start + size))

            done, result = self.fit(where, count - start, next_slice)
            yield result

    def backward(
        self,
        where: str,
        inputs: InputsT,
        losses: Callable[[InputsT], dict[str, Tensor]],
        optimizer: torch.optim.Optimizer,
    ) -> dict[str, Tensor]:
        """Gradients of a mean over samples, as many at a time as memory has room for; returns its detached terms.

        Args:
            where: names the work in errors.
            inputs: of the whole step.
            losses: for some of the samples, `loss` and any further terms, each a mean over them: a part counts by its
                share of the samples.
            optimizer: whose gradients are dropped first, and again where memory runs out and a smaller part is tried.

        Raises:
            OutOfMemoryError: see `fit`.
        """

        def accumulate(size: int) -> dict[str, Tensor]:
            optimizer.zero_grad(set_to_none=True)  # None: Adam skips frozen layers, state included
            totals: dict[str, Tensor] = {}
            for part in inputs.split(size):
                terms = losses(part)
                share = len(part) / len(inputs)
                (share * terms["loss"]).backward()  # type: ignore[no-untyped-call]
                for name, term in terms.items():
                    totals[name] = totals.get(name, 0) + share * term.detach()
            return totals

        return self.fit(where, len(inputs), accumulate)


def parts(count: int, size: int) -> list[slice]:
    """Consecutive slices of at most `size` that cover `count`.

    >>> parts(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def give_back() -> None:
    """Return what is free to the device and the system: allocators keep it, others such as oneDNN need it."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim is not None:
        trim(0)


def ran_out(err: BaseException) -> bool:
    """Whether an error of PyTorch or Python means that memory ran out.

    >>> ran_out(RuntimeError("DefaultCPUAllocator: can't allocate memory")), ran_out(RuntimeError("bad shape"))
    (True, False)
    """
    return isinstance(err, torch.OutOfMemoryError | MemoryError) or any(sign in str(err) for sign in SIGNS)
