"""What running rows show by now, in a terminal of many colours: two pixels a character, one above the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from PIL import Image
from rich.color import Color, ColorSystem
from rich.console import Console, ConsoleOptions, RenderableType
from rich.style import Style
from rich.text import Text

from tasks.status.live_page import picture_path
from tasks.status.status_file import Status

UPPER_HALF = "\N{UPPER HALF BLOCK}"
ENOUGH_COLOURS = (ColorSystem.EIGHT_BIT, ColorSystem.TRUECOLOR)
MOST_WIDE = 128  # characters of a strip
LEFT_LINES = 12  # of the terminal, for everything else
LEAST_LINES = 5  # of a strip: less shows nothing


def can_show(console: Console) -> bool:
    """Whether a terminal has the colours and the character for it."""
    known = {system.name.lower().replace("eight_bit", "256"): system for system in ENOUGH_COLOURS}
    is_unicode = console.encoding.lower().replace("-", "").startswith("utf")
    return console.is_terminal and not console.no_color and is_unicode and console.color_system in known


class Strips:
    """The latest picture of each running row, of as many as find room."""

    def __init__(self, status: Status) -> None:
        self.domains = [row.domain for row in status.running if row.pictured_step is not None]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        left = console.height - LEFT_LINES
        for domain in self.domains:
            with suppress(OSError, ValueError, SyntaxError):  # none yet, or just being replaced
                strip = Image.open(picture_path(domain)).convert("RGB")
                width = min(options.max_width, MOST_WIDE, strip.width)
                lines = min(round(width * strip.height / strip.width / 2), left - 1)
                if lines < LEAST_LINES:
                    return
                left -= lines + 1
                width = min(width, round(2 * lines * strip.width / strip.height))
                yield Text(domain, style="bold")
                yield half_blocks(strip.resize((width, 2 * lines), Image.Resampling.BOX))


def half_blocks(picture: Image.Image) -> Text:
    """A picture of an even height: the upper pixel of a character is its ink, the lower one its paper."""
    pixels = picture.load()
    assert pixels is not None
    text = Text(no_wrap=True)
    for top in range(0, picture.height, 2):
        for left in range(picture.width):
            ink, paper = (Color.from_rgb(*pixels[left, row]) for row in (top, top + 1))  # type: ignore[misc]
            text.append(UPPER_HALF, Style(color=ink, bgcolor=paper))
        text.append("\n")
    text.rstrip()
    return text
