"""A check-up for the eye: a line a finding, what to type below it, in as many columns as there are."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.text import Text

from tasks.health.finding import Finding

STYLES = {"ok": "green", "note": "yellow", "missing": "bold red"}
MARKS = {"ok": "ok", "note": "note", "missing": "MISSING"}
MARK, PART, GAP = 7, 12, 2


def finding_lines(finding: Finding, width: int) -> Iterator[Text]:
    """One finding.

    Args:
        finding: what was found.
        width: columns.
    """
    left = 2 + MARK + GAP + PART + GAP
    lines = textwrap.wrap(finding.says, max(20, width - left), break_long_words=False, break_on_hyphens=False) or [""]
    first = Text("  ")
    first.append(MARKS[finding.state].ljust(MARK), STYLES[finding.state])
    first.append(f"{'':{GAP}}{finding.part:{PART}}{'':{GAP}}{lines[0]}")
    yield first
    yield from (Text(" " * left + line) for line in lines[1:])
    if finding.remedy:  # not wrapped: it is there to be copied
        yield Text(" " * left + finding.remedy, style="bold" if finding.state == "missing" else "")
