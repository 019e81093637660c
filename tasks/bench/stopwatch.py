"""Seconds by phase of a step, and the memory that a process holds.

Phases are told apart by wrapping what every method calls, so a method need not know that it is measured.
"""

from __future__ import annotations

import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from nada.clip.guide import Guide
from nada.generators.registry import Network

PHASES = ("selection", "source", "target", "embed", "backward", "update")
"""Choosing layers, rendering without and with gradient, the guide, gradients, the optimiser; the rest is drawing."""

SEARCH = "select_layers"


class Stopwatch:
    """Seconds by phase; what a phase calls counts as its own."""

    def __init__(self, device: str) -> None:
        self.device, self.seconds = device, defaultdict[str, float](float)
        self._is_running = False

    def now(self) -> float:
        """Of the processor: what an idle core takes, however busy the machine. On a GPU, of the clock."""
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def timed(self, work: Callable[..., Any], phase: Callable[[], str]) -> Callable[..., Any]:
        """The same function, booked under the phase of the moment."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._is_running:
                return work(*args, **kwargs)
            self._is_running, name, started = True, phase(), self.now()
            try:
                return work(*args, **kwargs)
            finally:
                self.seconds[name] += self.now() - started
                self._is_running = False

        return call

    @contextmanager
    def watching(self, network: Network) -> Iterator[None]:
        """Within it everything that renders, sees, differentiates and learns is booked.

        Args:
            network: a generator; those of its class are watched.
        """

        def rendering() -> str:
            return "target" if torch.is_grad_enabled() else "source"

        modules = [module for name, module in sys.modules.items() if name.startswith("nada.methods.")]
        searching = [module for module in modules if hasattr(module, SEARCH)]
        watched: list[tuple[Any, str, Callable[[], str]]] = [
            *((module, SEARCH, lambda: "selection") for module in searching),
            (type(network.synthesis), "from_styles", rendering),
            (Guide, "embed_images", lambda: "embed"),
            (Guide, "embed_images_raw", lambda: "embed"),
            (torch.Tensor, "backward", lambda: "backward"),
            (torch.optim.Adam, "step", lambda: "update"),
        ]
        with ExitStack() as stack:
            for owner, name, phase in watched:
                stack.enter_context(patch.object(owner, name, self.timed(getattr(owner, name), phase)))
            yield


def forget_peak(device: str) -> None:
    """The next peak is of what follows."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
    elif (marks := Path("/proc/self/clear_refs")).exists():
        marks.write_text("5")


def peak_bytes(device: str) -> int | None:
    """The most that was held since: resident on a CPU, models included; of the device on a GPU. None off Linux."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated(device)
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return None if found is None else int(found[1]) * 1024
