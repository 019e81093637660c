"""The report in a real Chromium: hostile prompts stay text, all of it sorts and filters, phones and nights fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from tasks.config.row import Row
from tasks.report.page import Failure, write_report
from tests.browser import browser, new_page, violations
from tests.unit.report.test_page import HOSTILE, adapted, night, record

__all__ = ["adapted", "browser"]


@pytest.fixture
def report(adapted: Path) -> Path:
    """Two domains whose prompts attack, and a row that failed for a reason that attacks."""
    failure = Failure(domain="lost", source=HOSTILE, target=HOSTILE, reason=HOSTILE, details=HOSTILE)
    rows = [record("sketch", HOSTILE, retrieval_accuracy=0.2), record("sepia", "sepia", structure_ratio=0.1)]
    Image.effect_noise((1850, 90), 80).convert("RGB").save(adapted / "sepia" / "samples.webp")
    described = replace(night(failure), columns=("domain", "source", "target", "iterations"))
    return write_report(rows, described, adapted.parent / "index.html", adapted)


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
        """The domains that the table shows, from the top; cards and heat map must show the same."""
        shown: list[str] = self.page.evaluate(DOMAINS, ".board tbody tr")
        assert self.page.evaluate(DOMAINS, "article") == shown
        rows = sorted(self.page.evaluate(HEAT), key=lambda row: row[1])
        assert [name for name, _ in rows] == [name for name in shown if name != "lost"]  # which was never judged
        return shown

    def address(self) -> str:
        """What follows the page's own."""
        return self.page.url.partition("#")[2]


HEAT = """Array.from(document.querySelectorAll(".heat g:not([hidden])"))
  .map(row => [row.dataset.of, row.transform.baseVal[0].matrix.f])"""
DOMAINS = (
    "query => Array.from(document.querySelectorAll(query)).filter(one => !one.hidden).map(one => one.dataset.domain)"
)


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Opened]:
    page = new_page(browser, viewport={"width": 1400, "height": 900})
    shown = Opened(page, report)
    yield shown
    assert shown.complaints == []
    page.close()


def test_nothing_hostile_runs_and_no_address_is_asked_for(opened: Opened, report: Path) -> None:
    opened.page.click("#sketch summary >> text=how it was made")
    assert HOSTILE in opened.page.locator("#sketch .prompts").inner_text()
    assert HOSTILE in opened.page.locator("#lost .reason").inner_text()
    assert [url for url in opened.requests if not url.startswith("data:image/")] == [report.as_uri()]
    assert opened.page.locator("img[src]").count() == 1 + 2 * 2  # the source, and a strip and a sheet a row
    assert opened.page.evaluate("Array.from(document.images).every(image => !image.src || image.naturalWidth > 0)")


def test_all_of_the_page_sorts_and_what_failed_stays_last_then(opened: Opened) -> None:
    assert opened.names() == ["lost", "sepia", "sketch"]
    for button, order in (
        ("domain", ["sepia", "sketch", "lost"]),
        ("domain", ["sketch", "sepia", "lost"]),
        ("finds its prompt", ["sepia", "sketch", "lost"]),
        ("verdict", ["lost", "sepia", "sketch"]),
    ):
        opened.page.click(f".board th >> text={button}")
        assert opened.names() == order, button


def test_all_of_the_page_filters_and_the_address_tells_how(opened: Opened) -> None:
    page = opened.page
    page.fill("input[type=search]", "SEPIA")
    assert (opened.names(), opened.address()) == (["sepia"], "?q=SEPIA")
    page.click("label:has(.chip.failed)")
    assert opened.names() == []
    assert page.locator(".nothing").inner_text().startswith("No domain is like that.")
    page.click(".nothing button")
    page.click("label:has(.chip.failed)")
    page.click("label:has(.chip.collapsed)")
    assert (opened.names(), opened.address()) == (["lost", "sepia"], "?verdict=failed,collapsed")
    assert page.locator(".count").inner_text() == "2 of 3 domains"
    page.click(".board a >> text=sepia")
    assert opened.address() == "sepia"
    page.go_back()
    assert opened.names() == ["lost", "sepia"]
    page.go_back()
    assert (opened.names(), opened.address()) == (["lost"], "?verdict=failed")
    page.goto(f"{page.url.partition('#')[0]}#?new=1&sort=domain")
    page.reload()
    assert opened.names() == ["sketch"]
    assert page.locator(".board th[aria-sort]").inner_text().startswith("domain")


@pytest.mark.parametrize("address", ["sketch", "?sort=-time", "100%", "of nothing"])
def test_whatever_address_the_page_is_opened_by_it_lives(browser: Browser, report: Path, address: str) -> None:
    page = new_page(browser, viewport={"width": 1400, "height": 900})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{report.as_uri()}#{address}")
    if address == "sketch":
        page.wait_for_function(LANDED, arg="sketch")
    page.click("#sketch .zoom")
    assert page.locator(".lightbox").is_visible()
    assert complaints == []
    page.close()


def test_prompts_of_every_script_are_read_from_source_to_target_and_beside_the_heat_map_whole(
    browser: Browser, adapted: Path
) -> None:
    rows = {
        "sketch": ("\u0648\u062c\u0647", "\u0648\u062c\u0647 \u0645\u0628\u062a\u0633\u0645"),
        "a-domain-of-very-many-letters-that-somebody-has-called-so": ("a face", "\u7d20\u63cf" * 20),
        "sepia": ("a face", "a comic book page of somebody who smiles"),
    }
    records = [
        record(name, target, making={"row": Row(line=2, domain=name, source=source, target=target, recipe="style")})
        for name, (source, target) in rows.items()
    ]
    page = new_page(browser, viewport={"width": 390, "height": 800})
    page.goto(write_report(records, night(), adapted.parent / "scripts.html", adapted).as_uri())
    source, target = (page.locator("#sketch .prompts b").nth(at).bounding_box() for at in (0, 1))
    assert source is not None and target is not None
    assert source["x"] + source["width"] < target["x"]
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate("document.querySelector('.heat rect').getBoundingClientRect().right") < 390
    page.close()


OUTSIDE = """Array.from(document.querySelectorAll(".heat text")).filter(one => {
  const is = one.getBoundingClientRect(), whole = one.ownerSVGElement.getBoundingClientRect();
  return is.left < whole.left || is.top < whole.top || is.right > whole.right;
}).map(one => one.textContent)"""


def test_pictures_enlarge_by_keyboard_and_only_small_ones_show_their_pixels(opened: Opened) -> None:
    page = opened.page
    page.focus("#sepia .zoom")
    page.keyboard.press("Enter")
    assert page.locator(".caption").inner_text().endswith("(1 of 2)")
    assert page.locator(".stage img").bounding_box()["width"] <= 1400  # type: ignore[index]
    assert page.evaluate("getComputedStyle(document.querySelector('.stage img')).imageRendering") == "auto"
    page.keyboard.press("ArrowRight")
    assert page.locator(".caption").inner_text().startswith("sketch")
    page.wait_for_selector(".stage img.magnified")
    page.keyboard.press("ArrowRight")
    assert page.locator(".caption").inner_text().startswith("sepia")
    page.keyboard.press("Escape")
    assert not page.locator(".lightbox").is_visible()
    assert page.evaluate("document.activeElement.className") == "zoom"
    rendered = "query => getComputedStyle(document.querySelector(query)).imageRendering"
    page.wait_for_selector("#sketch .magnified")
    assert [page.evaluate(rendered, f"#{name} .zoom img") for name in ("sepia", "sketch")] == ["auto", "pixelated"]


def test_a_finger_opens_every_explanation_and_copies_the_line(opened: Opened) -> None:
    page = opened.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for button, words in (
        (".board .chip.collapsed", "keeps 10% of the source's variety"),
        ("#sketch dt >> text=direction", "Mean cosine between the change of each picture"),
        (".heat rect >> nth=0", "find"),
    ):
        page.click(button)
        assert words in page.locator(".explained:popover-open").inner_text()
        page.keyboard.press("Escape")
    assert page.locator("[title]").count() == 0
    page.focus("#sketch .told dt button")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.className") == "explained"  # what a screen reader reads
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('#sketch .told dt button')")
    page.evaluate("window.setTimeout = () => 0")  # so that the word stays until we look
    page.click("#sepia .copy >> nth=0")
    page.wait_for_selector("#sepia .copy >> text=copied")
    assert page.evaluate("navigator.clipboard.readText()") == "sepia,a portrait,sepia,1"


def test_a_phone_shows_all_of_its_page_and_the_dark_is_dark(browser: Browser, report: Path) -> None:
    for scheme, is_dark in (("light", False), ("dark", True)):
        page = new_page(browser, viewport={"width": 390, "height": 800}, color_scheme=scheme)
        page.goto(report.as_uri())
        page.evaluate("for (const one of document.querySelectorAll('details:not(.confusion)')) one.open = true")
        assert page.evaluate(BEYOND) == []
        red = page.evaluate("parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
        assert (red < 64) == is_dark
        assert page.evaluate(FAINT) == []
        assert page.evaluate(NAMELESS) == []
        assert violations(page) == []
        page.close()


def test_it_prints_dark_on_white_without_what_paper_cannot_do(browser: Browser, report: Path) -> None:
    page = new_page(browser, viewport={"width": 760, "height": 1000}, color_scheme="dark")
    page.goto(report.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("parseInt(getComputedStyle(document.body).color.match(/\\d+/)[0])") < 64
    for query in (".bar", ".copy >> nth=0", "summary >> text=what verdicts and figures say"):
        assert page.locator(query).is_hidden(), query
    assert page.locator("#sepia h3").is_visible()
    page.close()


BEYOND = """Array.from(document.querySelectorAll("main *:not(.heat *, pre *, legend)"))
  .filter(one => one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 80))"""
NAMELESS = """Array.from(document.querySelectorAll("button, a, input, select, img[src], summary"))
  .filter(one => !(one.ariaLabel || one.textContent.trim() || one.alt || one.labels?.[0]?.textContent.trim()
                   || one.querySelector("img")?.alt)).map(one => one.outerHTML.slice(0, 80))"""
FAINT = """(() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => channels(colour).slice(0, 3).map(value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = one => {
    const colour = getComputedStyle(one).backgroundColor;
    return channels(colour)[3] === 0 && one.parentElement ? behind(one.parentElement) : colour;
  };
  const told = Array.from(document.querySelectorAll("main *:not(svg *)"))
    .filter(one => Array.from(one.childNodes).some(node => node.nodeType === 3 && node.data.trim()));
  return told.filter(one => {
    const [high, low] = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05) < 4.5;
  }).map(one => one.outerHTML.slice(0, 80));
})()"""
"""Text that does not stand out from what is behind it by 4.5 to 1 (WCAG 2.2, 1.4.3)."""


def test_two_hundred_domains_open_with_a_picture_in_sight_and_links_that_land(browser: Browser, adapted: Path) -> None:
    rows = []
    Image.effect_noise((130, 90), 90).convert("RGB").save(adapted / "sketch" / "samples.webp")
    for index in range(200):
        (adapted / f"domain-{index}").mkdir()
        for name in ("samples.webp", "trace.csv"):
            (adapted / f"domain-{index}" / name).hardlink_to(adapted / "sketch" / name)
        rows.append(record(f"domain-{index}", f"target {index}"))
    path = write_report(rows, night(), adapted.parent / "many.html", adapted)
    page = new_page(browser, viewport={"width": 1400, "height": 900})
    shown = Opened(page, path)
    assert page.evaluate("document.images[0].getBoundingClientRect().bottom") < 900
    for name in ("domain-97", "domain-199", "domain-3"):
        page.click(f".board a >> text=/^{name}$/")
        page.wait_for_function(LANDED, arg=name)
    page.evaluate("scrollTo(0, 2000)")
    page.wait_for_function("scrollY === 2000")
    assert page.evaluate("document.querySelector('.board thead th').getBoundingClientRect().top") >= 0
    page.fill("input[type=search]", "target 17")
    assert len(shown.names()) == 11
    assert shown.complaints == []
    page.close()


LANDED = """async name => {
  const top = () => document.getElementById(name).getBoundingClientRect().top;
  const before = top(), bar = document.querySelector(".bar").getBoundingClientRect().bottom;
  await new Promise(resolve => setTimeout(resolve, 100));
  const isAtEnd = scrollY + innerHeight + 2 >= document.documentElement.scrollHeight;
  return top() === before && before >= bar && (before < bar + 40 || isAtEnd);
}"""
"""The card stands below what stays on top, or as near as the page's end allows, and does not move any more."""
