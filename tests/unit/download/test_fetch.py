"""An entry of the registry, fetched once and known by its checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nada.errors import CheckpointError, FetchError
from tasks.download.fetch import fetch
from tasks.download.records import record_path, recorded_sha256
from tasks.download.registry import Entry
from tasks.download.transfer import Patience
from tests.checkpoint_files import as_nvidia_dict, nvidia_tree, write_nvidia
from tests.conftest import tiny_generator
from tests.weights_server import Shop, serving

QUICK = Patience(attempts=2, pause_seconds=0.01)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """NVIDIA's .pkl of the tiny generator."""
    path = tmp_path_factory.mktemp("nvidia") / "tiny.pkl"
    return write_nvidia(path, as_nvidia_dict(nvidia_tree(tiny_generator().state_dict()))).read_bytes()


@pytest.fixture
def shop(weights: bytes) -> Iterator[Shop]:
    with serving(weights) as opened:
        yield opened


def entry(shop: Shop, **changes: object) -> Entry:
    return Entry(
        addresses=(shop.address,), file="tiny.pkl", family="stylegan2", format="nvidia", resolution=16,
        dataset="noise", licence="CC0", **changes,  # type: ignore[arg-type]
    )  # fmt: skip


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_first_fetch_records_the_checksum(shop: Shop, weights: bytes, tmp_path: Path) -> None:
    fetched = fetch("tiny", entry(shop), tmp_path, patience=QUICK)
    assert fetched.path.read_bytes() == weights
    assert (fetched.sha256, fetched.bytes, fetched.is_new) == (sha256(weights), len(weights), True)
    assert fetched.checked_by == ""
    record = json.loads(record_path(fetched.path).read_text())
    assert record.pop("fetched").startswith("20")
    assert record == {
        "name": "tiny", "address": shop.address, "sha256": sha256(weights), "bytes": len(weights), "etag": '"first"',
    }  # fmt: skip


def test_a_second_fetch_asks_nobody(shop: Shop, tmp_path: Path) -> None:
    fetch("tiny", entry(shop), tmp_path, patience=QUICK)
    again = fetch("tiny", entry(shop), tmp_path, patience=QUICK)
    assert (again.is_new, again.checked_by) == (False, "the first fetch")
    assert len(shop.asked) == 1


def test_other_bytes_than_at_first_are_refused(shop: Shop, weights: bytes, tmp_path: Path) -> None:
    path = fetch("tiny", entry(shop), tmp_path, patience=QUICK).path
    path.unlink()
    shop.body = weights + b"."
    with pytest.raises(FetchError, match=f"sha256 {sha256(shop.body)} arrived, {sha256(weights)} was expected"):
        fetch("tiny", entry(shop), tmp_path, patience=QUICK)
    assert not path.exists()
    assert recorded_sha256(path) == sha256(weights)


def test_a_file_that_changed_on_disk_is_refused_and_force_fetches_it_anew(
    shop: Shop, weights: bytes, tmp_path: Path
) -> None:
    path = fetch("tiny", entry(shop), tmp_path, patience=QUICK).path
    path.write_bytes(b"\x80changed")
    with pytest.raises(FetchError) as caught:
        fetch("tiny", entry(shop), tmp_path, patience=QUICK)
    assert str(caught.value) == (
        f"{path}: sha256 {sha256(path.read_bytes())} differs from that of the first fetch ({sha256(weights)}); "
        "nada weights fetch tiny --force fetches it anew"
    )
    assert fetch("tiny", entry(shop), tmp_path, force=True, patience=QUICK).is_new
    assert path.read_bytes() == weights


def test_force_takes_a_new_version_and_records_it(shop: Shop, weights: bytes, tmp_path: Path) -> None:
    path = fetch("tiny", entry(shop), tmp_path, patience=QUICK).path
    shop.body = weights + b"."
    assert fetch("tiny", entry(shop), tmp_path, force=True, patience=QUICK).sha256 == sha256(shop.body)
    assert recorded_sha256(path) == sha256(shop.body)


def test_the_checksum_of_the_registry_stands_above_force(shop: Shop, tmp_path: Path) -> None:
    wanted = "0" * 64
    with pytest.raises(FetchError, match=f"{wanted} was expected"):
        fetch("tiny", entry(shop, sha256=wanted), tmp_path, force=True, patience=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_the_checksum_of_the_registry_is_met(shop: Shop, weights: bytes, tmp_path: Path) -> None:
    fetched = fetch("tiny", entry(shop, sha256=sha256(weights)), tmp_path, patience=QUICK)
    assert fetched.checked_by == "the registry"


def test_a_file_put_there_by_hand_is_taken_as_it_is(shop: Shop, weights: bytes, tmp_path: Path) -> None:
    (tmp_path / "tiny.pkl").write_bytes(weights)
    fetched = fetch("tiny", entry(shop), tmp_path, patience=QUICK)
    assert (fetched.is_new, fetched.checked_by) == (False, "")
    assert recorded_sha256(fetched.path) == sha256(weights)
    assert shop.asked == []


def test_a_file_cut_short_by_a_wrong_length_is_never_trusted(shop: Shop, weights: bytes, tmp_path: Path) -> None:
    shop.says_length = len(weights) - 100
    path = tmp_path / "tiny.pkl"
    for _ in range(2):  # it stays where it is, and is refused again
        with pytest.raises(CheckpointError, match=r"\(nada weights fetch tiny --force fetches it anew\)$"):
            fetch("tiny", entry(shop), tmp_path, patience=QUICK)
        assert recorded_sha256(path) is None
    shop.says_length = None
    assert fetch("tiny", entry(shop), tmp_path, force=True, patience=QUICK).bytes == len(weights)


def test_a_damaged_record_is_as_none(shop: Shop, weights: bytes, tmp_path: Path) -> None:
    path = fetch("tiny", entry(shop), tmp_path, patience=QUICK).path
    record_path(path).write_text("{")
    assert fetch("tiny", entry(shop), tmp_path, patience=QUICK).checked_by == ""
    assert recorded_sha256(path) == sha256(weights)
