"""A file over HTTP, from a real server that behaves badly."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nada.errors import FetchError, OutputError
from tasks.download.transfer import News, Patience, download, partial_path, version_path
from tests.weights_server import Shop, serving, without_proxy

BODY = b"\x80\x02" + bytes(range(256)) * 4000  # a megabyte
CUT = 600_000
QUICK = Patience(attempts=3, pause_seconds=0.01, redirects=2)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    without_proxy(monkeypatch)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with serving(BODY) as opened:
        yield opened


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "generator.pkl"


def left_beside(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


def test_a_file_arrives_whole_with_its_checksum_and_news(shop: Shop, target: Path) -> None:
    news: list[News] = []
    arrived = download(target, (shop.address,), patience=QUICK, tell=news.append)
    assert target.read_bytes() == BODY
    assert (arrived.sha256, arrived.bytes) == (hashlib.sha256(BODY).hexdigest(), len(BODY))
    assert (arrived.address, arrived.etag) == (shop.address, '"first"')
    assert (news[0].done_bytes, news[-1].done_bytes, news[-1].total_bytes) == (0, len(BODY), len(BODY))
    assert shop.asked[0]["Accept-Encoding"] == "identity"
    assert left_beside(target) == []


def test_a_broken_line_is_resumed_where_it_broke(shop: Shop, target: Path) -> None:
    shop.drops = [CUT]
    news: list[News] = []
    download(target, (shop.address,), patience=QUICK, tell=news.append)
    assert target.read_bytes() == BODY
    assert shop.ranges_asked == [None, f"bytes={CUT}-"]
    assert shop.asked[1]["If-Range"] == '"first"'
    (said,) = [item.said for item in news if item.said]
    assert said.startswith("127.0.0.1: peer closed connection")
    assert said.endswith("; trying again in 0.01 s")


def test_a_silent_server_is_left_and_asked_for_the_rest(shop: Shop, target: Path) -> None:
    shop.stalls = [CUT]
    news: list[News] = []
    download(target, (shop.address,), patience=replace(QUICK, silence_seconds=1.0), tell=news.append)
    assert target.read_bytes() == BODY
    assert shop.ranges_asked == [None, f"bytes={CUT}-"]
    assert "127.0.0.1: silent for 1 s; trying again in 0.01 s" in [item.said for item in news]


def test_what_arrived_is_kept_for_the_next_call(shop: Shop, target: Path) -> None:
    shop.drops = [CUT, 1000, 1000]
    with pytest.raises(FetchError, match=r"^generator\.pkl: 127\.0\.0\.1: peer closed .*, 3 times\. Try later, or "):
        download(target, (shop.address,), patience=QUICK)
    assert not target.exists()
    assert partial_path(target).read_bytes() == BODY[: CUT + 2000]
    download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == BODY
    assert shop.ranges_asked[-1] == f"bytes={CUT + 2000}-"
    assert left_beside(target) == []


def test_a_server_without_ranges_starts_over(shop: Shop, target: Path) -> None:
    shop.ranges, shop.drops = False, [CUT]
    download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == BODY


def test_without_a_version_nothing_is_resumed(shop: Shop, target: Path) -> None:
    shop.etag, shop.drops = None, [CUT]
    download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == BODY
    assert shop.ranges_asked == [None, None]


def test_a_weak_etag_is_no_version_but_the_date_is(shop: Shop, target: Path) -> None:
    shop.etag, shop.drops = 'W/"first"', [CUT]
    download(target, (shop.address,), patience=QUICK)
    assert shop.asked[1]["If-Range"] == "Wed, 01 Nov 2023 12:00:00 GMT"
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(
    shop: Shop, target: Path, heeds_if_range: bool
) -> None:
    shop.drops, shop.heeds_if_range = [CUT] * 3, heeds_if_range
    with pytest.raises(FetchError):
        download(target, (shop.address,), patience=Patience(attempts=1))
    shop.body, shop.etag, shop.drops = BODY[::-1].replace(b"\xff", b"\x80"), '"second"', []
    download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == shop.body


def test_a_part_of_a_file_that_shrank_is_forgotten(shop: Shop, target: Path) -> None:
    shop.drops = [CUT]
    with pytest.raises(FetchError):
        download(target, (shop.address,), patience=Patience(attempts=1))
    shop.body = BODY[:1000]
    download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == BODY[:1000]


@pytest.mark.parametrize("damage", ["", "{}", "[1]", "\x00"])
def test_a_damaged_note_of_the_version_means_to_start_over(shop: Shop, target: Path, damage: str) -> None:
    target.parent.mkdir()
    partial_path(target).write_bytes(b"of another file")
    version_path(target).write_text(damage)
    download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == BODY


def test_bytes_from_another_address_are_not_continued(shop: Shop, target: Path) -> None:
    target.parent.mkdir()
    partial_path(target).write_bytes(b"of another file")
    version_path(target).write_text(json.dumps({"address": "https://example.org/x", "validator": '"first"'}))
    download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == BODY


def test_a_passing_failure_is_tried_again(shop: Shop, target: Path) -> None:
    shop.statuses = [500, 503]
    download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == BODY


def test_a_lasting_failure_ends_after_the_last_attempt(shop: Shop, target: Path) -> None:
    shop.statuses = [500] * 9
    with pytest.raises(FetchError, match=r"^generator\.pkl: 127\.0\.0\.1: HTTP 500 Internal Server Error, 3 times\. "):
        download(target, (shop.address,), patience=QUICK)
    assert len(shop.asked) == 3
    assert left_beside(target) == []


def test_a_missing_file_is_asked_for_once(shop: Shop, target: Path) -> None:
    shop.statuses = [404]
    with pytest.raises(FetchError) as caught:
        download(target, (shop.address,), patience=QUICK)
    assert str(caught.value) == (
        f"generator.pkl: {shop.address} answers HTTP 404 Not Found. "
        f"Try later, or save {shop.address} as {target} by hand, and give the same command again"
    )
    assert len(shop.asked) == 1


def test_the_next_address_is_tried(shop: Shop, target: Path) -> None:
    shop.statuses = [404]
    arrived = download(target, (shop.address, shop.address + "?mirror"), patience=QUICK)
    assert arrived.address.endswith("?mirror")
    assert target.read_bytes() == BODY


def test_without_a_network_the_way_by_hand_is_told(target: Path) -> None:
    with serving(BODY) as closed:
        address = closed.address
    with pytest.raises(FetchError) as caught:
        download(target, (address,), patience=QUICK)
    assert "Connection refused" in str(caught.value)
    assert f"save {address} as {target} by hand, and give the same command again" in str(caught.value)


def test_redirects_are_followed_within_limits(shop: Shop, target: Path) -> None:
    shop.redirects = ["/elsewhere", shop.address]
    download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == BODY
    shop.redirects = ["/again"] * 9
    with pytest.raises(FetchError, match="redirects more than 2 times"):
        download(target, (shop.address,), patience=QUICK)


def test_a_resumed_download_keeps_its_range_through_redirects(shop: Shop, target: Path) -> None:
    shop.drops = [CUT]
    with pytest.raises(FetchError):
        download(target, (shop.address,), patience=Patience(attempts=1))
    shop.redirects = ["/signed?token=1"]
    download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == BODY
    assert shop.ranges_asked[-1] == f"bytes={CUT}-"


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_a_redirect_out_of_the_web_is_refused(shop: Shop, target: Path, location: str) -> None:
    shop.redirects = [location]
    with pytest.raises(FetchError, match=f"redirects to {location[:5]}"):
        download(target, (shop.address,), patience=QUICK)
    assert left_beside(target) == []


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"<!DOCTYPE html><p>Sign in", "application/octet-stream"), (BODY, "text/html; charset=utf-8"),
     (b'{"requestStatus": {}}', "application/octet-stream"), (BODY, "application/json")],
)  # fmt: skip
def test_a_page_instead_of_weights_is_refused(shop: Shop, target: Path, body: bytes, content_type: str) -> None:
    shop.body, shop.content_type = body, content_type
    with pytest.raises(FetchError, match=r"answers with a page .* instead of weights"):
        download(target, (shop.address,), patience=QUICK)
    assert left_beside(target) == []


def test_a_sign_in_page_costs_nothing_of_what_had_arrived(shop: Shop, target: Path) -> None:
    shop.drops = [CUT]
    with pytest.raises(FetchError):
        download(target, (shop.address,), patience=Patience(attempts=1))
    shop.content_type, shop.ranges = "text/html", False
    with pytest.raises(FetchError, match="a page"):
        download(target, (shop.address,), patience=QUICK)
    assert partial_path(target).stat().st_size == CUT


def test_a_body_shorter_than_announced_never_becomes_the_file(shop: Shop, target: Path) -> None:
    shop.says_length = len(BODY) + 1000
    with pytest.raises(FetchError):
        download(target, (shop.address,), patience=QUICK)
    assert not target.exists()


def test_compressed_answers_are_unpacked_and_never_resumed(shop: Shop, target: Path) -> None:
    shop.compressed, shop.drops = True, [700]
    arrived = download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == BODY
    assert arrived.sha256 == hashlib.sha256(BODY).hexdigest()
    assert shop.ranges_asked == [None, None]


def test_wrong_bytes_are_not_kept(shop: Shop, target: Path) -> None:
    wanted, found = "0" * 64, hashlib.sha256(BODY).hexdigest()
    with pytest.raises(FetchError) as caught:
        download(target, (shop.address,), wanted, QUICK)
    assert str(caught.value) == f"{target}: sha256 {found} arrived, {wanted} was expected; nothing of it was kept"
    assert left_beside(target) == []


def test_a_full_disk_is_found_before_the_body(shop: Shop, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 500_000))
    with pytest.raises(OutputError) as caught:
        download(target, (shop.address,), patience=QUICK)
    need = "1 MB more are needed, 0 MB are free; make room, or fetch to another disk"
    assert str(caught.value) == f"{target}: {need}"
    assert left_beside(target) == []


def test_a_second_fetch_of_the_same_file_is_refused(shop: Shop, target: Path) -> None:
    target.parent.mkdir()
    with partial_path(target).open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(FetchError, match=r"\.partial: another nada is fetching this file; wait for it$"):
            download(target, (shop.address,), patience=QUICK)
    download(target, (shop.address,), patience=QUICK)
    assert target.read_bytes() == BODY


def test_many_fetches_at_once_leave_one_whole_file(shop: Shop, target: Path) -> None:
    outcomes: list[str] = []

    def fetch() -> None:
        try:
            outcomes.append(download(target, (shop.address,), patience=QUICK).sha256)
        except FetchError as err:
            outcomes.append(str(err))

    threads = [threading.Thread(target=fetch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == BODY
    assert hashlib.sha256(BODY).hexdigest() in outcomes
    assert all("wait for it" in outcome or len(outcome) == 64 for outcome in outcomes)
    assert left_beside(target) == []


def test_a_proxy_of_the_environment_is_used(shop: Shop, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = shop.address.removesuffix("/generator.pkl")
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    download(target, ("http://weights.example/generator.pkl",), patience=QUICK)
    assert target.read_bytes() == BODY
    assert shop.asked[0]["Host"] == "weights.example"


def test_a_proxy_that_cannot_be_used_is_named(shop: Shop, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:1")
    with pytest.raises(FetchError, match="a proxy in the environment cannot be used"):
        download(target, (shop.address,), patience=QUICK)


def test_an_unwritable_folder_is_named(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"weights/generator\.pkl\.partial: cannot be written"):
        download(tmp_path / "weights" / "generator.pkl", (shop.address,), patience=QUICK)
