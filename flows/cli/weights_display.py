"""What the person at the terminal sees of weights: tables, a bar while a file is fetched, what a conversion did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.text import Text

from flows.cli.display import Display
from flows.sheet import Column, Sheet
from nada.checkpoints.base_model import Parent
from nada.errors import InputError
from tasks.download.registry import Entry
from tasks.download.transfer import News

if TYPE_CHECKING:  # torch, for the commands that need it
    from nada.checkpoints.formats import Inspection
    from tasks.library.convert import Converted

LOG_SHARES = 4  # a log gets a line at each quarter of a file
LOG_STEP_BYTES = 100_000_000  # or at each of these, of a file whose size nobody says
FORMATS = {
    "nada": "nada's .safetensors",
    "nvidia": "NVIDIA's .pkl",
    "rosinality": "rosinality's .pt",
    "openvino": "OpenVINO's networks in a wheel",
}
UNUSUAL = "nada; for other tools write it anew with nada weights convert"
EXIT_LEFT_OUT = 1
"""Of several domains some were not exported."""
OPENED_BY = {
    "nada": "nada",
    "nvidia": "nada, stylegan2-ada-pytorch, stylegan3, and what is built on them",
    "openvino": "nada, and OpenVINO once it is unpacked",
    "rosinality": "nada, rosinality's stylegan2-pytorch, StyleGAN-NADA, and what is built on them",
}


def export_each(files: Mapping[str, Path], write: Callable[[str, Path], str], display: Display) -> None:
    """Write domains one by one, and say of each what became of it.

    Of several, one that is damaged, or that the format cannot hold, keeps no other from being written.

    Args:
        files: by domain.
        write: writes one, and says so.
        display: tells.

    Raises:
        InputError: there is but one, and it cannot be written.
        Exit: of several some are not.
    """
    left_out = 0
    for name, file in files.items():
        try:
            display.say(write(name, file))
        except InputError as err:
            if len(files) == 1:
                raise
            display.say(f"{name}: left out; {err}", "yellow")
            left_out += 1
    if left_out:
        raise typer.Exit(EXIT_LEFT_OUT)


def registry_table(registry: Mapping[str, Entry]) -> Sheet:
    """Public generators, a row each."""
    trained_on, licence = (Column(title, is_prose=True) for title in ("trained on", "licence"))
    sheet = Sheet(
        Column("name"), trained_on, Column("pixels", is_number=True), Column("family"), licence, Column("here")
    )
    for name, entry in registry.items():
        here = megabytes(entry.path.stat().st_size) if entry.path.is_file() else ""
        cells = (name, entry.dataset, str(entry.resolution), entry.family, entry.licence, here)
        sheet.add(*cells, style="bold" if here else "")
    return sheet


def inspection_table(path: object, found: Inspection) -> Sheet:
    """What a file of weights holds, a line per fact."""
    facts = {
        "file": str(path),
        "format": f"{FORMATS[found.format]}, {megabytes(found.size_bytes)}",
        "sha256": found.sha256,
        "holds": _difference(found.parent) if found.parent else "",
        "generator": f"{found.config.family}, {found.config.resolution} px, {found.num_parameters:,} parameters",
        "networks": f"{', '.join(found.networks)}; {found.chosen} is read" if found.chosen else "",
        "supplied": "\n".join(found.supplied),
        "opened by": OPENED_BY[found.format] if found.is_usual else UNUSUAL,
        "can be adapted": f"yes, with generator.weights: {path} in params.yaml",
        "to convert": "\n".join(found.notes),
    }
    sheet = Sheet(Column("", style="dim"), Column("", is_prose=True), has_titles=False)
    for name, fact in facts.items():
        if fact:
            sheet.add(name, fact)
    return sheet


def _difference(parent: Parent) -> str:
    return f"what changed against {parent.name!r}, whose canonical file has sha256 {parent.sha256}"


def converted_lines(converted: Converted) -> str:
    """What was written, and how true it is."""
    report = converted.report
    if report.is_bit_equal:
        truth = "every tensor is equal, bit by bit"
    else:
        truth = f"pictures differ by at most {report.byte_difference} of 255 ({report.image_difference:.1e} in [-1, 1])"
    head = f"{converted.path}  {FORMATS[converted.format]}, {megabytes(converted.bytes)}; {truth}"
    return "\n".join([head, *(f"  {sentence}" for sentence in converted.lost)])


def megabytes(size_bytes: int) -> str:
    """A size as people say it.

    >>> megabytes(381_673_535), megabytes(40_000)
    ('382 MB', '0.04 MB')
    """
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e6:.2g} MB"


class FetchDisplay:
    """News of a download: a bar on a terminal, a line at each quarter elsewhere."""

    def __init__(self, console: Console, name: str) -> None:
        self._console, self._name, self._said = console, name, 0
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=32), DownloadColumn(), TransferSpeedColumn(),
            TimeRemainingColumn(compact=True), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task(name, total=None)

    def __enter__(self) -> FetchDisplay:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, news: News) -> None:
        """Show how far it is."""
        if news.said:
            self._console.print(Text(news.said, style="dim"), soft_wrap=True)
        self._bar.update(self._task, completed=news.done_bytes, total=news.total_bytes)
        step = news.total_bytes / LOG_SHARES if news.total_bytes else LOG_STEP_BYTES
        reached = int(news.done_bytes // max(step, 1))
        if reached != self._said and not self._console.is_terminal:
            of_total = f" of {megabytes(news.total_bytes)}" if news.total_bytes else ""
            self._console.print(f"{self._name}: {megabytes(news.done_bytes)}{of_total}", soft_wrap=True)
        self._said = reached
