"""What a night needs of its workers, wherever they are: jobs, errors, and how many of them there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from nada import errors
from nada.errors import InputError, WorkerError

MAKE_ROWS = "tasks.row.make:make_rows"
EVALUATE_ROW = "tasks.row.evaluate:evaluate_row"
RETRIEVE_ROWS = "tasks.row.retrieval:retrieve_rows"
CHECK_MODELS = "tasks.row.check:check_models"

# The last bits of a row depend on it, so it is no share of the cores: that would depend on the other rows.
CPU_THREADS = 1


class WorkerDiedError(WorkerError):
    """The process ended in the middle of a row: killed, out of memory, or crashed in native code."""

    is_last = False
    """Whether the row was tried often enough."""


class RowFailedError(WorkerError):
    """The row itself raised; the worker lives on. `details` holds the traceback of the worker."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """What one worker process runs on."""

    device: str
    threads: int


def plan_workers(
    devices: list[str], cores: int, workers: int | None, num_rows: int, fitting: Mapping[str, int] | None = None
) -> list[WorkerSpec]:
    """On each GPU as many workers as asked for or as fit; on a CPU as many as cores and rows allow, one thread each.

    Args:
        devices: GPUs, or `cpu` alone.
        cores: of the machine.
        workers: on a CPU in all, on GPUs for each; None: as many as there is room for.
        num_rows: of the CSV.
        fitting: GPU -> workers that it has room for, where that is known; otherwise one.

    >>> plan_workers(["cpu"], cores=8, workers=None, num_rows=1)
    [WorkerSpec(device='cpu', threads=1)]
    """
    if devices != ["cpu"]:
        each = [workers or (fitting or {}).get(device, 1) for device in devices]
        threads = max(1, cores // sum(each))
        turns = [device for turn in range(max(each)) for device, num in zip(devices, each, strict=True) if turn < num]
        return [WorkerSpec(device=device, threads=threads) for device in turns]
    count = max(1, min(cores, num_rows) if workers is None else workers)
    return [WorkerSpec(device="cpu", threads=CPU_THREADS)] * count


class Pool(ABC):
    """What a night needs of its workers, wherever they are. A context manager: leaving it ends them all."""

    workers: Sequence[object]
    """As many as rows can run at once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def run(
        self,
        function: str,
        job: Any,
        on_news: Callable[[Any], None] = ...,
        *,
        timeout_seconds: float,
        about: str = ...,
    ) -> Any:
        """Run one job on an idle worker; see `WorkerPool.run`. Nothing is waited for without a limit."""

    @abstractmethod
    def close(self) -> None:
        """End every worker at once; what they had not published is lost."""


def rebuilt_error(type_name: str, message: str, details: str) -> Exception:
    """The worker's error: bad input keeps its kind, anything else is a failed row."""
    kind = getattr(errors, type_name, None)
    if isinstance(kind, type) and issubclass(kind, InputError):
        return kind(*message.split("\n"))
    named = message if isinstance(kind, type) else f"{type_name}: {message}"
    return RowFailedError(named, details)
