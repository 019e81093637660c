"""A Chromium for the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, or the one that `playwright install chromium` fetched."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        # As root, as in a container, Chromium has no sandbox.
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


def violations(page: Page) -> list[Any]:
    """What axe finds."""
    session = page.context.new_cdp_session(page)  # by the debugger, whatever the page's policy
    session.send("Runtime.evaluate", {"expression": AXE})
    return list(page.evaluate("axe.run().then(all => all.violations.map(one => [one.id, one.nodes[0].html]))"))
