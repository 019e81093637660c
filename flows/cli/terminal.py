"""A night's output where nobody may be left to read it: the terminal closed, the pipe broken, the disk full."""

from __future__ import annotations

import os
from typing import Any, TextIO


class LastingOutput:
    """A stream that is written to until it refuses, and never raises; everything else about it is the stream's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop what cannot be written."""
        try:
            self._stream.write(text)
        except OSError:
            self._leave()
        return len(text)

    def flush(self) -> None:
        """Likewise."""
        try:
            self._stream.flush()
        except OSError:
            self._leave()

    def _leave(self) -> None:
        """From now on, and at exit, what is in the stream's buffer goes nowhere: Python would end with status 120."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
