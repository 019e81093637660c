"""A pause of the running night, as a file that other processes write: nothing new begins while it is there.

The night that ends removes it, and so does whoever has the night's lock next: no pause outlives its night.
"""

from __future__ import annotations

from nada.atomic import replacing, writing
from nada.errors import InputError
from tasks.config.project import HERE
from tasks.status.status_file import is_going

SOON, NOW = "soon", "now"
"""Running rows end first, or save their states and make way."""


def pause(at_once: bool = False) -> None:
    """Begin nothing new in the night that runs.

    Args:
        at_once: rows that are being made save their states, and go on from there afterwards.

    Raises:
        InputError: no night runs.
        OutputError: the file cannot be written.
    """
    if not is_going():
        raise InputError(f"{HERE.night_lock}: no night runs here, so there is nothing to pause")
    with replacing(HERE.pause) as partial:
        partial.write_text(NOW if at_once else SOON)


def resume() -> bool:
    """Let the night go on; whether it was paused.

    Raises:
        OutputError: the file cannot be removed.
    """
    was = is_paused()
    with writing(HERE.pause):
        HERE.pause.unlink(missing_ok=True)
    return was


def is_paused() -> bool:
    """Whether nothing new is to begin."""
    return HERE.pause.exists()


def makes_way() -> bool:
    """Whether rows that are being made should save their states and end for now; a worker asks after every step."""
    try:
        return HERE.pause.read_text() == NOW
    except (OSError, ValueError):
        return False
