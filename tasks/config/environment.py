"""How Prefect and its neighbours behave here: embedded, quiet, nothing sent anywhere.

This is the one place that says so. It must run before prefect is imported, which reads its settings once; what
the user has set in the environment stays.
"""

from __future__ import annotations

import os
from pathlib import Path

PREFECT_FOLDER = ".prefect"


def settle_environment(project: Path | None = None) -> None:
    """Fill in the settings that the user left open.

    Args:
        project: the folder that keeps Prefect's database; by default where the command runs.
    """
    home = (project or Path.cwd()) / PREFECT_FOLDER
    for name, value in {
        "PREFECT_HOME": str(home),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # Runs keep their logs in Prefect's own pages; the terminal belongs to the progress lines.
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
        # A request to a dead server is given up after 30 seconds, not 60: by then an embedded one is back.
        "PREFECT_CLIENT_MAX_RETRIES": "4",
        # Two nights that start at once on a fresh machine need longer than the default of 20 seconds.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "GIT_PYTHON_REFRESH": "quiet",  # a machine without git is told so once, by us
    }.items():
        os.environ.setdefault(name, value)


def prefect_ui_command() -> str:
    """The line that opens Prefect's pages on this project's nights."""
    home = os.environ["PREFECT_HOME"]
    return f"PREFECT_HOME={home} prefect server start    # then open http://127.0.0.1:4200"
