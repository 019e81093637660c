"""A Chromium for the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_MS = 120_000  # whatever is waited for; Playwright's own 5 and 30 seconds are short on a busy machine


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, or the one that `playwright install chromium` fetched."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # As root, as in a container, Chromium has no sandbox.
        options = ["--no-sandbox", "--disable-gpu"]
        chromium = playwright.chromium.launch(executable_path=found, args=options, timeout=PATIENCE_MS)
        yield chromium
        chromium.close()


def new_page(browser: Browser, **options: Any) -> Page:
    """A page of its own that is patient."""
    page = browser.new_page(**options)
    page.set_default_timeout(PATIENCE_MS)
    return page


def violations(page: Page) -> list[Any]:
    """What axe finds."""
    session = page.context.new_cdp_session(page)  # by the debugger, whatever the page's policy
    session.send("Runtime.evaluate", {"expression": AXE})
    return list(page.evaluate("axe.run().then(all => all.violations.map(one => [one.id, one.nodes[0].html]))"))
