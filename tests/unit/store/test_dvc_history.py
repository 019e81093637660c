"""A row that DVC's cache holds whole is brought back; anything less is trained."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from tasks.config.project import HERE
from tasks.store import dvc_history, row_folder
from tasks.store.dvc_history import restore

KEY, OTHER = "1" * 64, "2" * 64
ROW = HERE.adapted / "sketch"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a DVC cache, and a generator."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dvc_history.versioning, "cache_dir", lambda root: root / "cache")
    Path("generator.safetensors").write_bytes(b"generator")
    return tmp_path / "cache"


def version(cache: Path, **rows: str) -> dict[str, Path]:
    """Publish rows of these keys, put weights/adapted into the cache as DVC does, and take the rows away."""
    objects, listing = {}, []
    for domain, key in rows.items():
        folder = row_folder.partial_dir(domain)
        (folder / row_folder.WEIGHTS_NAME).write_bytes(f"{domain} {key}".encode())
        row_folder.write_record(folder, {"key": key, "domain": domain})
        for path in sorted(folder.iterdir()):
            objects[f"{domain}/{path.name}"] = put(cache, path.read_bytes())
            listing.append({"md5": md5(path.read_bytes()), "relpath": f"{domain}/{path.name}"})
            path.unlink()
        folder.rmdir()
    put(cache, json.dumps(listing).encode(), ".dir")
    return objects


def put(cache: Path, content: bytes, suffix: str = "") -> Path:
    path = cache / "files" / "md5" / md5(content)[:2] / (md5(content)[2:] + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def bring_back(*domains: str) -> list[str]:
    return restore(dict.fromkeys(domains, KEY), Path("generator.safetensors"))


def test_a_row_comes_back_with_the_parent_of_its_weights(cache: Path) -> None:
    version(cache, sketch=KEY, robot=OTHER)
    assert bring_back("sketch", "robot", "neon") == ["sketch"]
    assert row_folder.is_finished("sketch", KEY)
    assert (ROW / row_folder.WEIGHTS_NAME).read_text() == f"sketch {KEY}"
    assert [path.name for path in HERE.base_models.iterdir()] == [
        f"{hashlib.sha256(b'generator').hexdigest()}.safetensors"
    ]


def test_the_key_decides_among_versions(cache: Path) -> None:
    for key in (KEY, OTHER):
        version(cache, sketch=key)
    assert bring_back("sketch") == ["sketch"]
    assert row_folder.is_finished("sketch", KEY)


def test_an_older_version_replaces_what_is_there(cache: Path) -> None:
    version(cache, sketch=KEY)
    folder = row_folder.partial_dir("sketch")
    (folder / row_folder.WEIGHTS_NAME).write_bytes(b"of another generator")
    row_folder.write_record(folder, {"key": OTHER, "domain": "sketch"})
    row_folder.publish(folder, "sketch")
    assert bring_back("sketch") == ["sketch"]
    assert sorted(path.name for path in ROW.iterdir()) == [row_folder.WEIGHTS_NAME, row_folder.RECORD_NAME]


@pytest.mark.parametrize("name", ["sketch/generator.safetensors", "sketch/row.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"{}")])
def test_a_damaged_cache_brings_nothing_back_and_leaves_nothing(cache: Path, name: str, damage: object) -> None:
    damage(version(cache, sketch=KEY)[name])  # type: ignore[operator]
    assert bring_back("sketch") == []
    assert not any(HERE.adapted.iterdir())


@pytest.mark.parametrize("listing", [b"", b"[", b"{}", b"[1]", b'[{"relpath": "sketch/row.json"}]'])
def test_lists_of_other_things_are_passed_over(cache: Path, listing: bytes) -> None:
    version(cache, sketch=KEY)
    put(cache, listing, ".dir")
    assert bring_back("sketch") == ["sketch"]


def test_no_file_leaves_its_folder(cache: Path) -> None:
    objects = version(cache, sketch=KEY)
    entries = [{"md5": md5(path.read_bytes()), "relpath": name} for name, path in objects.items()]
    for name in ("sketch/../escaped", "sketch/sub/escaped", "sketch/.."):
        entries.append({"md5": entries[0]["md5"], "relpath": name})
    put(cache, json.dumps(entries).encode(), ".dir").touch()
    bring_back("sketch")
    assert not list(Path().rglob("escaped"))


def test_without_dvc_or_rows_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert restore({}, Path("generator.safetensors")) == []
    assert dvc_history.versioning.cache_dir(Path(os.devnull).parent) is None
