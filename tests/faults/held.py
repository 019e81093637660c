"""Rows that wait at a step until whoever watches their night has come, however late that is, and done what it came for.

A tiny row is over within a second: who kills something as soon as a line of it is read may find it gone.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from tests.faults.harness import NightProcess

POLL_SECONDS = 0.02
# Read by every worker as it starts. A row waits after a step was taken, and before it is told of or its state is saved.
WAITS = f"""
import sys
if "tasks.workers.process" in sys.orig_argv:
    import time
    from pathlib import Path
    from nada.methods.adapt.making import AdaptedRow
    after = AdaptedRow.after

    def wait(self, step, at_once):
        held = Path(__file__).with_name(f"{{self.assignment.row}}-{{step.index}}")
        if held.exists():
            held.with_suffix(".reached").touch()
        while held.exists():
            time.sleep({POLL_SECONDS})
        return after(self, step, at_once)

    AdaptedRow.after = wait
"""


class Held:
    """Rows of a night that wait.

    Args:
        folder: of what tells them so, for one night; it is made.
        steps: domain -> the steps at which it waits, from 0.
    """

    def __init__(self, folder: Path, **steps: int | tuple[int, ...]) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(WAITS)
        self._folder = folder
        for domain, held in steps.items():
            for step in (held,) if isinstance(held, int) else held:
                (folder / f"{domain}-{step}").touch()

    @property
    def environment(self) -> dict[str, str]:
        """Of the night."""
        return {"PYTHONPATH": os.pathsep.join([str(self._folder), *filter(None, sys.path)])}

    def wait_for(self, domain: str, step: int, night: NightProcess) -> None:
        """Until the row waits there."""
        while not (self._folder / f"{domain}-{step}.reached").exists():
            assert night.process.poll() is None, "the night ended before that:\n" + "".join(night.read())
            time.sleep(POLL_SECONDS)

    def let_go(self, domain: str, step: int = 0) -> None:
        """The row goes on, also one that had not come so far."""
        (self._folder / f"{domain}-{step}").unlink()
