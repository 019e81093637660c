"""Tables that fit a terminal: the first column is always whole, and what finds no room beside it follows below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from nada.errors import printable

GAP = 2  # characters between columns
PROSE = 12  # characters to which a column of sentences may shrink
FIRST_SHARE = 2  # the first column takes no more than half the width, on several lines if need be


@dataclass(frozen=True)
class Column:
    """One column of a sheet."""

    title: str
    is_number: bool = False
    is_prose: bool = False
    """Whether its cells may be spread over several lines; a title always may."""
    style: str = ""


class Sheet:
    """Rows of texts under titles; the first cell of a row is its name."""

    def __init__(self, *columns: Column, has_titles: bool = True) -> None:
        self.columns, self.has_titles = columns, has_titles
        self.rows: list[tuple[tuple[str, ...], str]] = []

    def add(self, *cells: str, style: str = "") -> None:
        """A row; nothing in its texts is obeyed, and none breaks a line."""
        self.rows.append((tuple(map(printable, cells)), style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        for number, block in enumerate(self._blocks(options.max_width)):
            if number:
                yield Text()
            yield self._table(block, options.max_width)

    def _blocks(self, width: int) -> list[list[int]]:
        """Columns that find room beside the first, block by block."""
        first = self._least(0, width)
        blocks, used = [[0]], first
        for place in range(1, len(self.columns)):
            least = GAP + self._least(place, width)
            if used + least > width and len(blocks[-1]) > 1:
                blocks.append([0])
                used = first
            blocks[-1].append(place)
            used += least
        return blocks

    def _table(self, block: Sequence[int], width: int) -> Table:
        widths = [self._least(place, width) for place in block]
        left = width - sum(widths) - GAP * (len(block) - 1)
        table = Table(
            box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0), show_header=self.has_titles
        )
        for least, place in zip(widths, block, strict=True):
            column = self.columns[place]
            more = min(max(0, left), max(0, self._most(place) - least)) if place else 0
            left -= more
            table.add_column(
                Text(column.title),
                justify="right" if column.is_number else "left",
                overflow="fold",
                style=column.style,
                width=least + more,
            )
        for cells, style in self.rows:
            table.add_row(*(Text(cells[place]) for place in block), style=style)
        return table

    def _least(self, place: int, width: int) -> int:
        """Characters that a column needs."""
        column = self.columns[place]
        cells = max((cell_len(row[place]) for row, _ in self.rows), default=0)
        if place == 0:
            return min(self._most(0), width // FIRST_SHARE)
        words = max(map(cell_len, column.title.split()), default=0) if self.has_titles else 0
        return max(words, min(cells, PROSE) if column.is_prose else cells)

    def _most(self, place: int) -> int:
        """Characters that it would fill."""
        title = cell_len(self.columns[place].title) if self.has_titles else 0
        return max(title, *(cell_len(row[place]) for row, _ in self.rows), 0)
