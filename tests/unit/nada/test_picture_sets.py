"""What is read of a folder or a zip, and what is left out, by name and kind; folders and zips alike."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nada import picture_sets
from nada.errors import ImageError
from nada.picture_sets import SUFFIXES, find_pictures

NAMES = ("0.png", "1.JPG", "more/2.tif", "more/deep/3.jfif")
OTHERS = {"IMG_0.HEIC": ".heic", "captions.txt": ".txt", "more/IMG_1.heic": ".heic", "noname": "without a suffix"}
HIDDEN = (".DS_Store", "more/.thumb.png", ".thumbs/0.png", "__MACOSX/._0.png")


def in_folder(place: Path, names: list[str]) -> Path:
    for name in names:
        (place / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "set" / name).touch()
    return place / "set"


def in_zip(place: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(place / "set.zip", "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return place / "set.zip"


@pytest.mark.parametrize("made", [in_folder, in_zip])
def test_folders_and_zips_are_read_alike(tmp_path: Path, made: Callable[[Path, list[str]], Path]) -> None:
    found = find_pictures(made(tmp_path, [*NAMES, *OTHERS, *HIDDEN]))
    assert found.names == NAMES
    assert dict(found.left_out) == OTHERS
    words = "2 .heic (IMG_0.HEIC, ...), 1 .txt (captions.txt), 1 without a suffix (noname)"
    assert found.left_out_in_words == words


@pytest.mark.parametrize("made", [in_folder, in_zip])
def test_a_set_without_pictures_tells_what_is_there(tmp_path: Path, made: Callable[[Path, list[str]], Path]) -> None:
    path, suffixes = made(tmp_path, ["IMG_0.HEIC"]), ", ".join(SUFFIXES)
    expected = f"{path}: no images in it; expected files that end in {suffixes}; in it are 1 .heic (IMG_0.HEIC)"
    with pytest.raises(ImageError) as caught:
        find_pictures(path)
    assert str(caught.value) == expected


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_one_name_in_a_zip_the_last_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    found = find_pictures(in_zip(tmp_path, ["0.png", "1.png", "0.png", "0.png"]))
    assert found.names == ("0.png", "1.png")
    assert found.left_out_in_words == "2 earlier file of one name (0.png, ...)"


def test_links_are_followed_once_and_what_leads_nowhere_is_told(tmp_path: Path) -> None:
    path = in_folder(tmp_path, ["0.png", "below/1.png"])
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "2.png").touch()
    (path / "linked").symlink_to(tmp_path / "elsewhere")
    (path / "below" / "up").symlink_to(path)
    (path / "3.png").symlink_to(tmp_path / "nowhere")
    (path / "4.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    os.mkfifo(path / "5.png")
    found = find_pictures(path)
    assert found.names == ("0.png", "4.png", "below/1.png", "linked/2.png")
    again = "folder that cannot be listed, or is here already"
    assert found.left_out == (("3.png", "dead link"), ("5.png", "special file"), ("below/up", again))


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, original = in_folder(tmp_path, ["0.png", "below/1.png"]), os.scandir

    def refuse(place: Path) -> object:
        if place.name == "below":
            raise PermissionError
        return original(place)

    monkeypatch.setattr(os, "scandir", refuse)
    (left_out,) = find_pictures(path).left_out
    assert left_out[0] == "below"


@pytest.mark.parametrize("path", ["x" * 5000, "/".join(["x"] * 5000), "a\0b", "\ud800", "/dev/null", "nowhere"])
def test_what_is_no_folder_and_no_zip_is_refused(path: str) -> None:
    with pytest.raises(ImageError, match=r"no such file or folder; expected a folder or a \.zip of images$"):
        find_pictures(Path(path))


@pytest.mark.parametrize("made", [in_folder, in_zip])
def test_more_files_than_a_set_has_are_not_looked_at(
    tmp_path: Path, made: Callable[[Path, list[str]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path, [f"{place}/{num}.png" for place in "abc" for num in range(4)])
    monkeypatch.setattr(picture_sets, "MAX_FILES", 11)
    with pytest.raises(ImageError, match=r"set.*: more than 11 files; "):
        find_pictures(path)


@pytest.mark.parametrize("path", ["/", "/proc", "/dev", "/sys"])
def test_a_whole_disk_is_refused_after_a_bounded_look(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = []
    original = os.scandir
    monkeypatch.setattr(os, "scandir", lambda place: listed.append(place) or original(place))
    monkeypatch.setattr(picture_sets, "MAX_FILES", 500)
    with pytest.raises(ImageError, match=r"^/.*: (more than 500 files|no images in it); "):
        find_pictures(Path(path))
    assert len(listed) <= 501


def test_a_zip_that_unpacks_to_far_more_than_it_is_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_sets, "MAX_UNPACKED_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for num in range(5):
            archive.writestr(f"{num}.bmp", bytes(1 << 20))
    monkeypatch.setattr(zipfile.ZipFile, "open", pytest.fail)
    size = "its pictures unpack to 5 MiB; of a zip of this size 1 MiB are read; use a folder"
    with pytest.raises(ImageError, match=rf"set\.zip: {size}$"):
        find_pictures(tmp_path / "set.zip")


def test_a_large_zip_of_pictures_may_be_as_large_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_sets, "MAX_UNPACKED_BYTES", 1)
    path = in_zip(tmp_path, ["0.png"])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("1.png", os.urandom(100_000))
    assert find_pictures(path).names == ("0.png", "1.png")
