"""The edge where text is shown: it is shown and never obeyed, and nobody need be left to read it: the terminal may be
closed, the pipe broken, the disk full.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TextIO

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from nada.errors import printable


class PlainConsole(Console):
    """A console for texts that anybody may have written: it obeys nothing in them but line ends."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is to be shown; rich's own control codes stay, and colours are added later."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=_shown(segment.text))


def echo(text: object) -> None:
    """One line on standard output, for people and scripts."""
    typer.echo(printable(str(text)))


def _shown(text: str) -> str:
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


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
