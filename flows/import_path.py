"""Where Python looks for code: the folder in which a night stands is somebody's project, and never shadows nada.

A project may hold `tasks/` or `flows.py` of its own. Python puts the working folder first for whatever is started by
`python -m`, as DVC's, Prefect's and our own processes are; this is the one place that says otherwise, before anything
of ours is imported.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

INSTALLED = Path(__file__).resolve().parents[1]
"""The folder that holds this `flows`, `tasks` and `nada`."""


def settle_import_path() -> None:
    """Look into the working folder last, here and in every process that is started from here."""
    os.environ["PYTHONSAFEPATH"] = "1"
    own = [entry for entry in sys.path if _is_here(entry)]
    sys.path[:] = [entry for entry in sys.path if entry not in own] + own


def _is_here(entry: str) -> bool:
    """Whether an entry is the working folder, and not the one that nada is in."""
    try:
        here = Path.cwd().resolve()
        return Path(entry or ".").resolve() == here and here != INSTALLED
    except OSError:  # it was removed, or may not be looked at
        return False
