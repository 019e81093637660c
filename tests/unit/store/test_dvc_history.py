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
from tasks.store.record import MAKING_NAME
from tasks.store.row_folder import Keys
from tests.rows import KEYS, OTHER_KEYS, WEIGHTS_NAME, fill_judged, fill_made, fill_retrieved, publish_made

ROW = HERE.adapted / "sketch"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a DVC cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dvc_history.versioning, "cache_dir", lambda root: root / "cache")
    return tmp_path / "cache"


def version(cache: Path, judged: bool = False, **rows: Keys) -> dict[str, Path]:
    """Publish rows of these keys, put weights/adapted into the cache as DVC does, and take the rows away."""
    objects, listing = {}, []
    for domain, keys in rows.items():
        folder = row_folder.partial_dir(domain)
        fill_made(folder, domain, keys, f"{domain} {keys.making}".encode())
        if judged:
            fill_judged(folder, domain, keys)
            fill_retrieved(folder, domain, keys)
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
    return restore(dict.fromkeys(domains, KEYS.making))


def test_a_row_comes_back(cache: Path) -> None:
    version(cache, sketch=KEYS, robot=OTHER_KEYS)
    assert bring_back("sketch", "robot", "neon") == ["sketch"]
    assert row_folder.state_of("sketch", KEYS) == "made"
    assert (ROW / WEIGHTS_NAME).read_text() == f"sketch {KEYS.making}"


def test_what_was_judged_of_a_row_comes_along(cache: Path) -> None:
    version(cache, judged=True, sketch=KEYS)
    assert bring_back("sketch") == ["sketch"]
    assert row_folder.state_of("sketch", KEYS) == "whole"


def test_damage_to_what_was_judged_costs_no_more_than_that(cache: Path) -> None:
    version(cache, judged=True, sketch=KEYS)["sketch/samples.webp"].write_bytes(b"damaged")
    assert bring_back("sketch") == ["sketch"]
    assert row_folder.state_of("sketch", KEYS) == "made"


def test_the_key_decides_among_versions(cache: Path) -> None:
    for keys in (KEYS, OTHER_KEYS):
        version(cache, sketch=keys)
    assert bring_back("sketch") == ["sketch"]
    assert row_folder.state_of("sketch", KEYS) == "made"


def test_an_older_version_replaces_what_is_there(cache: Path) -> None:
    version(cache, sketch=KEYS)
    (publish_made(keys=OTHER_KEYS, weights=b"of another generator") / "stray.txt").touch()
    assert bring_back("sketch") == ["sketch"]
    assert sorted(path.name for path in ROW.iterdir()) == [WEIGHTS_NAME, MAKING_NAME, "trace.csv"]


@pytest.mark.parametrize("name", ["sketch/generator.safetensors", "sketch/row.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"{}")])
def test_a_damaged_cache_brings_nothing_back_and_leaves_nothing(cache: Path, name: str, damage: object) -> None:
    damage(version(cache, sketch=KEYS)[name])  # type: ignore[operator]
    assert bring_back("sketch") == []
    assert not any(HERE.adapted.iterdir())


@pytest.mark.parametrize("listing", [b"", b"[", b"{}", b"[1]", b'[{"relpath": "sketch/row.json"}]'])
def test_lists_of_other_things_are_passed_over(cache: Path, listing: bytes) -> None:
    version(cache, sketch=KEYS)
    put(cache, listing, ".dir")
    assert bring_back("sketch") == ["sketch"]


def test_no_file_leaves_its_folder(cache: Path) -> None:
    objects = version(cache, sketch=KEYS)
    entries = [{"md5": md5(path.read_bytes()), "relpath": name} for name, path in objects.items()]
    for name in ("sketch/../escaped", "sketch/sub/escaped", "sketch/.."):
        entries.append({"md5": entries[0]["md5"], "relpath": name})
    put(cache, json.dumps(entries).encode(), ".dir").touch()
    bring_back("sketch")
    assert not list(Path().rglob("escaped"))


def test_without_dvc_or_rows_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert restore({}) == []
    assert dvc_history.versioning.cache_dir(Path(os.devnull).parent) is None
