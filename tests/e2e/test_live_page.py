"""The page that follows a night, in a real Chromium: a file that shows what is new by itself, and obeys no text."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tasks.plan.queue import RowQueue
from tasks.status.live_page import page_path
from tasks.status.writer import StatusWriter
from tasks.workers.news import Progress
from tests.browser import browser, new_page, violations
from tests.records import make_record

__all__ = ["browser"]

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
SCORES = {"retrieval_accuracy": 0.75, "structure_ratio": 0.75, "directional_similarity": 0.5}
WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 800}


@pytest.fixture
def status_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatusWriter:
    """A night of four rows of which two run and one was lost; one of them has shown itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tasks.status.writer.WRITE_SECONDS", 0.0)
    writer = StatusWriter("night 1", datetime.now().astimezone(), num_rows=5)
    waiting = RowQueue({"sketch": 60.0, "robot": 60.0, "lost": 60.0, "a-domain-of-many-letters-" + "x" * 30: 60.0})
    for _ in range(3):
        waiting.take(0.0)
    writer.running(waiting, workers=2, current=1)
    writer.failed("lost", HOSTILE)
    writer.progress(making("robot", 10))
    writer.progress(making("sketch", 50, "red"))
    return writer


def making(domain: str, step: int, colour: str | None = None) -> Progress:
    file = io.BytesIO()
    Image.new("RGB", (256, 64), colour or "black").save(file, format="JPEG")
    picture = file.getvalue() if colour else None
    return Progress(
        domain=domain, step=step, total=200, loss=0.41, phase="make", picture=picture, pictured_step=step - 10
    )


def opened(browser: Browser, size: dict[str, int], scheme: str) -> tuple[Page, list[str]]:
    page = new_page(browser, viewport=size, color_scheme=scheme)
    complaints: list[str] = []
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_path().resolve().as_uri())
    return page, complaints


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")])
def test_the_page_shows_what_runs_and_follows_it_by_itself(
    browser: Browser, status_writer: StatusWriter, size: dict[str, int], scheme: str
) -> None:
    page, complaints = opened(browser, size, scheme)
    sketch, robot = (page.locator(f"#running [data-domain={name}]") for name in ("sketch", "robot"))
    for words in ("making", "step 50/200", "loss 0.410", "left", "picture of step 40"):
        expect(sketch).to_contain_text(words)
    expect(sketch.locator("img")).to_have_attribute("src", "sketch.jpg?40")
    expect(robot).to_contain_text("its first picture comes with its first probe")
    expect(page.locator("#failed")).to_contain_text(HOSTILE)
    expect(page.locator("#waiting")).to_contain_text("a-domain-of-many-letters-")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]

    status_writer.progress(making("robot", 30, "blue"))

    status_writer.finished(make_record("sketch", scores=SCORES, nearest={"a pencil sketch": 16}))
    done = page.locator("#done [data-domain=sketch]")
    expect(done).to_contain_text("unproven")  # without being loaded anew
    expect(done).to_contain_text("75% find their prompt")
    expect(robot.locator("img")).to_have_attribute("src", "robot.jpg?20")
    page.wait_for_function(
        "[...document.querySelectorAll('img')].every(img => img.complete && img.naturalWidth == 256)"
    )
    expect(page.locator("#running [data-domain=sketch]")).to_have_count(0)

    status_writer.state("finished", report=str(Path("reports/2026/index.html").resolve()))
    expect(page.locator("#end a")).to_have_attribute("href", "../2026/index.html")
    expect(page.locator("h1")).to_have_text("Night 1: finished")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert complaints == []
    page.close()


def test_the_page_tells_of_a_pause_of_added_rows_and_of_those_that_are_not_tried(
    browser: Browser, status_writer: StatusWriter
) -> None:
    page, complaints = opened(browser, WIDE, "light")
    expect(page.locator("#counts")).to_contain_text("5 domains: 1 kept from before, 2 running, 1 failed, 1 waiting")
    expect(page.locator("#end")).to_contain_text("Should end about")
    status_writer.added(["sketch_style-0", "ink"], 0)
    status_writer.held(["sketch_style-0"], HOSTILE)
    status_writer._waiting.add({"sketch_style-1": 60.0}, {}, {})
    status_writer.paused(True)
    expect(page.locator("#paused")).to_have_text("Paused: nothing new begins. nada resume goes on.")
    expect(page.locator("#end")).to_have_text("")
    expect(page.locator("#added")).to_have_text("Added while it runs: sketch_style-0, ink")
    expect(page.locator("#stopped")).to_have_text(HOSTILE)
    expect(page.locator("#counts")).to_contain_text("7 rows: ")
    expect(page.locator("#counts")).to_contain_text("1 not tried")
    status_writer.paused(False)
    expect(page.locator("#paused")).to_have_text("")
    assert complaints == []
    page.close()


def test_of_very_many_rows_the_page_shows_the_latest_and_says_how_many_there_are(
    browser: Browser, status_writer: StatusWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.status.live_page.MOST", 2)
    for name in ("one", "two", "three"):
        status_writer.finished(make_record(name, scores=SCORES))
    page, complaints = opened(browser, WIDE, "light")
    expect(page.locator("#done h3")).to_have_text(["two", "three"])
    expect(page.locator("h2", has_text="Finished")).to_have_text("Finished: the latest 2 of 3")
    expect(page.locator("#counts")).to_contain_text("3 trained")
    status_writer.finished(make_record("four", scores=SCORES))
    expect(page.locator("#done h3")).to_have_text(["three", "four"])
    assert complaints == []
    page.close()


def test_before_the_first_night_the_page_says_so(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.status.live_page import write_page

    monkeypatch.chdir(tmp_path)
    write_page()
    page, complaints = opened(browser, WIDE, "light")
    expect(page.locator("h1")).to_have_text("No night has run here yet")
    assert complaints == []
    page.close()
