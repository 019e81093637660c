"""The flow for deployments of Prefect, which looks for code in the project's folder before everywhere else.

A project may hold a `flows.py` or `tasks/` of its own; a module of this name it will not. It is loaded first, and has
the folder looked into last, as `flows.import_path` has for every other process.
"""

import sys
from pathlib import Path

_here = str(Path.cwd())
if Path(__file__).resolve().parent != Path(_here).resolve():
    sys.path[:] = [entry for entry in sys.path if entry not in ("", _here)] + [_here]

from flows.night import night  # noqa: E402  # it is to be found now

__all__ = ["night"]
