"""An archive of npm's registry: checked, never run, and gone if it is another one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from nada.errors import FetchError
from tasks.download.npm_package import download_npm_package

BODY = b"an archive"
SHA256 = hashlib.sha256(BODY).hexdigest()
PACKAGE, NAME = "@scope/faces@1.0.0", "scope-faces-1.0.0.tgz"


def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Put an npm of our own where programs are looked for; returns where the archive shall lie."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "npm"
    program.write_text(f'#!/bin/sh\necho "$@" >"{tmp_path}/asked"\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / NAME


def test_npm_brings_an_archive_and_runs_no_script_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = npm(tmp_path, monkeypatch, f'printf "%s" "{BODY.decode()}" >"{NAME}"')
    download_npm_package(target, PACKAGE, SHA256)
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == [NAME]
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:2] == ["pack", "--ignore-scripts"] and asked[-1] == PACKAGE


def test_another_archive_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = npm(tmp_path, monkeypatch, f'printf "other" >"{NAME}"')
    with pytest.raises(FetchError, match=f"{SHA256} was expected; nothing of it was kept"):
        download_npm_package(target, PACKAGE, SHA256)
    assert not list(target.parent.iterdir())


def test_what_npm_says_and_what_to_do_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "npm error code E404\nnpm error notarget No matching version found\nnpm error A complete log of this run"
    target = npm(tmp_path, monkeypatch, f"printf '{said}' >&2; exit 1")
    with pytest.raises(FetchError) as caught:
        download_npm_package(target, PACKAGE, SHA256)
    assert str(caught.value) == (
        f"{NAME}: npm: notarget No matching version found; see npm config list, or run npm pack {PACKAGE} where there "
        f"is one, and save {NAME} as {target}"
    )


def test_a_machine_without_npm_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match=rf"{NAME}: npm is not installed here; run npm pack {PACKAGE} where"):
        download_npm_package(tmp_path / NAME, PACKAGE, SHA256)
