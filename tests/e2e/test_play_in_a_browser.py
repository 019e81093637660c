"""The app and the gallery in a real Chromium: they draw, mix, take a photo and give files, and ask nobody else."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from nada.checkpoints import load_generator
from nada.images import grid, to_u8
from nada.latents import draw_ws, seeded_rng
from tests.browser import PATIENCE_MS, browser, new_page, violations
from tests.conftest import tiny_generator
from tests.project import make_project, run_alone
from tests.records import publish_made

__all__ = ["browser"]

ROOT = Path(__file__).parents[2]
DRAWN = "document.querySelectorAll('#stage img.there').length * Number(!document.querySelector('#stage .old'))"


@dataclass(frozen=True)
class Running:
    """An app that answers, in the project's folder."""

    folder: Path
    address: str

    def ask(
        self, path: str, method: str = "GET", body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection(self.address.removeprefix("http://"), timeout=PATIENCE_MS / 1000)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        content = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return content


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """`nada app` on a free port of the loopback, in a project's folder, as a process of its own."""
    folder = tmp_path_factory.mktemp("library")
    make_project(folder, tiny_world)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for index, name in enumerate(("sepia", "sketch")):
            publish_made(name, tiny_generator(index + 1))
    grid(to_u8(tiny_generator().synthesis(draw_ws(1, tiny_generator(), seeded_rng(3)))), 1).save(folder / "me.png")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "flows.cli", "app", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        yield folder, process
    finally:
        process.terminate()
        process.wait(120)
        process.stdout.close()


@pytest.fixture(scope="module")
def running(started: tuple[Path, subprocess.Popen[str]], browser: Browser) -> Running:
    """The app once it answers; the browser starts meanwhile."""
    folder, process = started
    assert process.stdout is not None
    watchdog = threading.Timer(300, process.kill)  # of its start alone: tests may take as long as they like
    watchdog.start()
    address = process.stdout.readline().strip()
    watchdog.cancel()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address), "the app did not start"
    return Running(folder, address)


class Opened:
    """A page with everything that it complained of, and every address that it asked."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    page = new_page(browser, viewport={"width": 1400, "height": 900}, color_scheme="dark")
    shown = Opened(page)
    yield shown
    assert shown.complaints == []
    page.close()


def until(page: Page, expression: str, expected: object = True) -> None:
    """By asking again and again: what Playwright waits with, the page's own policy forbids."""
    for _ in range(PATIENCE_MS // 100):
        if page.evaluate(expression) == expected:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{expression}: never {expected}, but {page.evaluate(expression)}")


def drawn(page: Page, num: int) -> None:
    page.wait_for_timeout(300)  # until a change is asked for
    until(page, DRAWN, num)


def test_the_app_draws_mixes_and_keeps(running: Running, opened: Opened) -> None:
    page = opened.page
    page.goto(running.address)
    drawn(page, 9)  # the first domain, at once
    assert page.inner_text("#shares label") == "sepia"
    assert violations(opened.page) == []
    page.click("[data-adds=sketch]")
    drawn(page, 9)
    assert page.locator("#shares label").all_inner_texts() == ["sepia", "sketch"]
    page.locator("#share-1").fill("0.25")
    until(page, "document.getElementById('keep-grid').href.includes('sketch%3A0.25')")
    drawn(page, 9)
    with page.expect_download() as kept:
        page.click("#keep-export")
    assert kept.value.suggested_filename == "sepia-50-sketch-25.safetensors"
    kept.value.save_as(running.folder / "mixed.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(running.folder)
        outcome = run_alone(running.folder, "mix", "sepia:0.5", "sketch:0.25", "--weights", "ours.safetensors")
        assert outcome.status == 0
    ours, theirs = (load_generator(running.folder / f"{name}.safetensors").state_dict() for name in ("ours", "mixed"))
    assert all((ours[name] == theirs[name]).all() for name in ours)
    page.click("#stage button:nth-child(2)")
    assert page.inner_text("#large-name") == "sepia 50% + sketch 25%, seed 0, picture 2"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#large-name").endswith("picture 3")
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert all(url.startswith((running.address, f"blob:{running.address}", "data:")) for url in opened.requests)


def test_my_photo_is_drawn_in_every_domain(running: Running, opened: Opened) -> None:
    page = opened.page
    page.goto(running.address)
    drawn(page, 9)
    page.set_input_files("#file", running.folder / "me.png")
    until(page, "document.getElementById('photo-said').textContent.startsWith('Found')")
    drawn(page, 3)
    assert page.locator("#stage .caption").all_inner_texts() == ["source", "sepia", "sketch"]
    page.set_input_files("#file", {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": b"GIF89a, or nearly"})
    until(page, "document.getElementById('photo-said').textContent.includes('not a readable image')")
    assert page.inner_text("#photo-said").startswith("your photo: ")


def test_the_app_says_what_came_of_a_photo_that_another_window_replaced_and_of_a_wrong_seed(
    running: Running, opened: Opened
) -> None:
    page = opened.page
    page.goto(running.address)
    drawn(page, 9)
    until(page, "document.getElementById('drawn').textContent", "Drawn: sepia.")  # what a screen reader says
    page.fill("#seed", "-5")
    page.press("#seed", "Tab")
    assert page.input_value("#seed") == "0"
    page.select_option("#steps", "full")
    page.set_input_files("#file", running.folder / "me.png")
    until(page, "document.getElementById('photo-said').textContent.startsWith('Looking')")
    assert running.ask("/api/photo", "POST", b"no photo", X_Nada_App="1")[0] == 200
    until(page, "document.getElementById('photo-said').textContent.startsWith('Given up for another photo')")
    assert page.locator("#progress").is_hidden()
    page.route("**/api/picture*", lambda route: route.abort())
    page.click("#another")
    until(page, "document.getElementById('message').textContent.startsWith('No answer: start nada app again')")
    opened.complaints.clear()  # Chromium's own word on the address that was cut


def test_the_app_draws_the_same_as_the_command(running: Running) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(running.folder)
        assert run_alone(running.folder, "mix", "sketch:0.5", "--count", "4", "--seed", "5").status == 0
        assert run_alone(running.folder, "strip", "sketch", "--count", "4", "--seed", "5").status == 0
    for kind, name in (("grid", "mix.png"), ("strip", "strip.png")):
        look = "sketch:0.5" if kind == "grid" else "sketch"
        status, headers, content = running.ask(f"/api/{kind}?look={look}&seed=5&count=4")
        assert (status, headers["content-type"]) == (200, "image/png")
        assert content == (running.folder / name).read_bytes()
    status, headers, content = running.ask("/api/export?look=sketch&format=.onnx")
    assert (status, 'filename="sketch.onnx"' in headers["content-disposition"]) == (200, True)


def test_what_strangers_ask_is_refused(running: Running) -> None:
    refused = {
        "/api/picture?look=../../params": "no finished domain",
        "/api/picture?look=sketch:nan": "the share is no number",
        "/api/picture?seed=x": "seed: 'x'; expected 0 to 2.14748e+09",
        "/api/picture?at=99": "at: '99'; expected 0 to 15",
        "/api/picture?photo=../me": "photo: not known any more",
        "/api/export?look=sketch&format=.exe": "format: '.exe'",
    }
    for path, said in refused.items():
        status, _, content = running.ask(path)
        assert status == 400, path
        assert said in content.decode(), path
    assert running.ask("/", Host="evil.example:80")[0] == 421  # a name that was bent to this address
    assert running.ask("/api/photo", "POST", b"x")[0] == 403  # a form of another site
    assert running.ask("/../server.py")[0] == 404
    status, headers, _ = running.ask("/")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    _, _, answer = running.ask("/api/photo", "POST", bomb.getvalue(), X_Nada_App="1")
    number = answer.decode().split('"')[3]
    for _ in range(PATIENCE_MS // 100):
        told = running.ask(f"/api/photo/{number}")[2].decode()
        if '"state":"failed"' in told:
            break
        time.sleep(0.1)
    assert "your photo: 400000000 pixels; at most 64 million are read" in told


def test_an_upload_is_bounded(running: Running) -> None:
    assert running.ask("/api/photo", "POST", bytes((32 << 20) + 1), X_Nada_App="1")[0] == 413


def test_the_gallery_opens_from_disk_and_goes_by_keys(running: Running, opened: Opened) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(running.folder)
        assert run_alone(running.folder, "gallery", "--count", "3").status == 0
    page, address = opened.page, (running.folder / "site/index.html").as_uri()
    page.goto(address)
    assert violations(opened.page) == []
    page.focus(".cards li:first-child .card")
    page.keyboard.press("Enter")
    assert page.inner_text("#large-name") == "sepia"
    assert page.locator("dialog .prompt bdi").count() == 2  # a prompt from right to left keeps to its side
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#large-name") == "sketch"
    page.keyboard.press("ArrowDown")
    assert "pictures/sketch-1.webp" in (page.get_attribute(".large-after", "src") or "")
    assert violations(opened.page) == []
    page.keyboard.press("Escape")
    until(page, "document.activeElement.closest('li')?.dataset.name === 'sketch'")
    page.evaluate("location.hash = 'sepia'")
    until(page, "document.querySelector('dialog').open")
    page.keyboard.press("Escape")
    page.fill("input[type=search]", "sep")
    assert page.locator(".cards li:visible").count() == 1
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("Array.from(document.images).every(one => one.loading === 'lazy' || one.naturalWidth > 0)")
    assert all(url.startswith(address.removesuffix("index.html")) for url in opened.requests)
