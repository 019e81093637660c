"""A page that shows the running night by itself: a file that loads what is new, so that no server is needed.

It lies in reports/live, with the latest picture of each row that it shows beside it. Browsers let a page that was
opened as a file load scripts and pictures, so what is new is a script; see `templates/live.html`.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from itertools import islice
from pathlib import Path

from nada.atomic import replacing
from nada.errors import OutputError
from tasks.config.project import HERE
from tasks.status.status_file import Status

PAGE = Path(__file__).with_name("templates") / "live.html"
PAGE_NAME, NEWS_NAME = "index.html", "night.js"
ENDING = ".jpg"
MOST = 200  # rows shown of those that are done, and of those that failed: more would keep a browser busy for good


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


def forget_earlier(done: dict[str, str]) -> None:
    """Remove the picture of a row for which there is no place any more, as another one is done."""
    for domain in islice(reversed(done), MOST, MOST + 1):
        with suppress(OSError):
            picture_path(domain).unlink(missing_ok=True)


def tell(status: Status) -> None:
    """The night's status as the page reads it: of what is done and what failed the latest, and how many there are.

    Raises:
        OutputError: it cannot be written.
    """
    report = os.path.relpath(status.report, HERE.live.resolve()) if status.report else None
    news = {
        **status.plain(),
        **{name: _latest(getattr(status, name)) for name in ("done", "verdicts", "failed")},
        "waiting": status.waiting[:MOST],
        "left": status.left[:MOST],
        "numbers": {name: len(getattr(status, name)) for name in ("done", "failed", "waiting")},
        "report_href": report,
    }
    with replacing(HERE.live / NEWS_NAME) as partial:
        partial.write_text(f"show({json.dumps(news, ensure_ascii=True)});\n", encoding="utf-8")


def _latest(of: dict[str, str]) -> dict[str, str]:
    return dict([*islice(reversed(of.items()), MOST)][::-1])
