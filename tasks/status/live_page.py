"""A page that shows the running night by itself: a file that loads what is new, so that no server is needed.

It lies in reports/live, with the latest picture of each row of this night beside it. Browsers let a page that was
opened as a file load scripts and pictures, so what is new is a script; see `templates/live.html`.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from nada.atomic import replacing
from nada.errors import OutputError
from tasks.config.project import HERE
from tasks.status.status_file import Status

PAGE = Path(__file__).with_name("templates") / "live.html"
PAGE_NAME, NEWS_NAME = "index.html", "night.js"
ENDING = ".jpg"


def page_path() -> Path:
    """Where the page is."""
    return HERE.live / PAGE_NAME


def picture_path(domain: str) -> Path:
    """The latest picture of a row of the running or the last night, if it has shown any."""
    return HERE.live / f"{domain}{ENDING}"


def write_page() -> Path:
    """The page itself, without its news.

    Raises:
        OutputError: it cannot be written.
    """
    with replacing(page_path()) as partial:
        partial.write_bytes(PAGE.read_bytes())
    return page_path()


def begin() -> None:
    """Write the page, and remove the pictures of the night before; whatever cannot be done costs the page alone."""
    with suppress(OSError):
        for old in HERE.live.glob(f"*{ENDING}*"):  # and what a kill left of one
            old.unlink()
    with suppress(OutputError):
        write_page()


def show(domain: str, jpeg: bytes) -> bool:
    """Let a row's picture be this one; whether it could be written."""
    with suppress(OutputError):
        with replacing(picture_path(domain)) as partial:
            partial.write_bytes(jpeg)
        return True
    return False


def tell(status: Status) -> None:
    """The night's status as the page reads it.

    Raises:
        OutputError: it cannot be written.
    """
    report = os.path.relpath(status.report, HERE.live.resolve()) if status.report else None
    content = json.dumps({**asdict(status), "report_href": report}, ensure_ascii=True)
    with replacing(HERE.live / NEWS_NAME) as partial:
        partial.write_text(f"show({content});\n", encoding="utf-8")
