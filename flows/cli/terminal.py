"""The edge where text is shown: it is shown and never obeyed, and nobody need be left to read it: the terminal may be
closed, the pipe broken, the disk full, its letters few. Of an error that nobody foresaw it gets one line.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from nada.errors import one_line, printable


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


def settle_streams() -> None:
    """Let standard output take any text: letters that its encoding lacks are escaped, and a closed one drops it."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 (lives as long as the process)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def unexpected(err: BaseException) -> str:
    """An error that nobody foresaw, in one line; its traceback is written to a file, which the line names."""
    kind = "Memory ran out" if isinstance(err, MemoryError) else type(err).__name__
    said = f"{kind}: {one_line(err)}" if str(err) else kind
    path = _keep_traceback(err)
    where = "" if path is None else f"; where it happened is written in {path}"
    return f"nada broke off on an error that it does not know ({_without_secrets(said)}){where}"


@contextmanager
def threads_spare(errors: TextIO) -> Iterator[None]:
    """Threads that break off say so in one line, too."""

    def tell(broken: threading.ExceptHookArgs) -> None:
        if broken.exc_value is not None:
            print(unexpected(broken.exc_value), file=errors)

    before, threading.excepthook = threading.excepthook, tell
    try:
        yield
    finally:
        threading.excepthook = before


def _keep_traceback(err: BaseException) -> Path | None:
    """Write it into the project's folder, or where temporary files go; None where nothing can be written."""
    from tasks.config.project import HERE

    text = _without_secrets("".join(traceback.format_exception(err)))
    name = f"nada-{datetime.now():%Y-%m-%d_%H-%M-%S}-{os.getpid()}.txt"
    for folder in (HERE.errors, Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return folder / name
    return None


def _without_secrets(text: str) -> str:
    from tasks.tracking.address import without_secrets

    return without_secrets(text)
