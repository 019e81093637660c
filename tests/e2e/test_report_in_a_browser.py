"""The report in a real Chromium: hostile prompts stay text, the table sorts and filters, phones and nights fit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tasks.report.page import Failure, write_report
from tests.unit.report.test_page import HOSTILE, adapted, night, record

__all__ = ["adapted"]

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


@pytest.fixture
def report(adapted: Path) -> Path:
    """Two domains whose prompts attack, and a row that failed for a reason that attacks."""
    failure = Failure(domain="lost", source=HOSTILE, target=HOSTILE, reason=HOSTILE, details=HOSTILE)
    rows = [record("sketch", HOSTILE, retrieval_accuracy=0.2), record("sepia", "sepia", structure_ratio=0.1)]
    return write_report(rows, night(failure), adapted.parent / "index.html", adapted)


class Opened:
    """A page with everything that it did on its own."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())

    def names(self) -> list[str]:
        """The domains that the table shows, from the top."""
        rows = self.page.locator("#board tbody tr:visible td:first-child")
        return rows.all_inner_texts()


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Opened]:
    page = browser.new_page()
    shown = Opened(page, report)
    yield shown
    assert shown.complaints == []
    page.close()


def test_nothing_hostile_runs_and_no_address_is_asked_for(opened: Opened, report: Path) -> None:
    opened.page.hover(".tip >> nth=0")
    opened.page.click("summary >> nth=0")
    assert HOSTILE in opened.page.locator("#sketch .prompts").inner_text()
    assert HOSTILE in opened.page.locator("#lost .reason").inner_text()
    assert [url for url in opened.requests if not url.startswith("data:image/")] == [report.as_uri()]
    assert opened.page.evaluate("document.images.length") == 5
    assert opened.page.evaluate("Array.from(document.images).every(image => image.naturalWidth > 0)")


def test_a_click_sorts_and_failed_rows_stay_last(opened: Opened) -> None:
    assert opened.names() == ["sepia", "sketch", "lost"]
    opened.page.click("#board th >> text=domain")
    assert opened.names() == ["sepia", "sketch", "lost"]
    opened.page.click("#board th >> text=domain")
    assert opened.names() == ["sketch", "sepia", "lost"]
    opened.page.click("#board th >> text=finds its prompt")
    assert opened.names() == ["sepia", "sketch", "lost"]


def test_text_and_verdicts_filter_table_strips_and_cards(opened: Opened) -> None:
    opened.page.fill("input[type=search]", "SEPIA")
    assert opened.names() == ["sepia"]
    assert opened.page.locator("article:visible").count() == opened.page.locator(".strips a:visible").count() == 1
    opened.page.fill("input[type=search]", "")
    opened.page.click("label:has(.chip.collapsed)")
    assert opened.names() == ["sketch", "lost"]


def test_a_phone_scrolls_no_page_sideways_and_the_dark_is_dark(browser: Browser, report: Path) -> None:
    for scheme, is_dark in (("light", False), ("dark", True)):
        page = browser.new_page(viewport={"width": 380, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(report.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 380
        red = page.evaluate("parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
        assert (red < 64) == is_dark
        page.close()


def test_two_hundred_domains_open(browser: Browser, adapted: Path) -> None:
    rows = []
    for index in range(200):
        shutil.copytree(adapted / "sketch", adapted / f"domain-{index}")
        rows.append(record(f"domain-{index}", f"target {index}"))
    page = browser.new_page()
    shown = Opened(page, write_report(rows, night(), adapted.parent / "many.html", adapted))
    assert len(shown.names()) == 200
    page.fill("input[type=search]", "target 17")
    assert len(shown.names()) == 11
    assert shown.complaints == []
    page.close()
