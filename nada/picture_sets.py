"""Pictures that people bring, in a folder or a zip: which files are read, and which are left out and why.

Nothing is opened here but a zip's list of names, and torch is not imported.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nada.errors import ImageError, printable
from nada.paths import files_below, is_file, is_folder

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".jpe", ".jfif", ".tif", ".tiff", ".gif", ".avif")
MAX_FILES = 100_000  # in a folder and all below it, or in a zip
MAX_UNPACKED = 20  # times a zip's own bytes, of all pictures in it: their formats are compressed themselves
MAX_UNPACKED_BYTES = 1 << 30  # which even a small zip may hold
KINDS_NAMED = 5  # of what is left out, the most frequent first
EARLIER = "earlier file of one name"
EXPECTED = "expected a folder or a .zip of images"
UNREADABLE_ZIP = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError)  # encrypted, too


@dataclass(frozen=True)
class PictureSet:
    """The files of a folder or a zip, hidden ones aside, by their names in it."""

    names: tuple[str, ...]
    """Those that are read, sorted."""
    left_out: tuple[tuple[str, str], ...]
    """The others, each with what it is: `.heic`, `dead link`."""

    @property
    def left_out_in_words(self) -> str:
        """How many were left out of each kind, and the first of them; empty where none were.

        >>> PictureSet((), (("c", "dead link"), ("a.heic", ".heic"), ("b.heic", ".heic"))).left_out_in_words
        '2 .heic (a.heic, ...), 1 dead link (c)'
        """
        kinds: dict[str, list[str]] = {}
        for name, kind in self.left_out:
            kinds.setdefault(kind, []).append(name)
        most = sorted(kinds.items(), key=lambda item: -len(item[1]))
        words = [f"{len(of)} {kind} ({of[0]}{', ...' if len(of) > 1 else ''})" for kind, of in most[:KINDS_NAMED]]
        others = sum(len(of) for _, of in most[KINDS_NAMED:])
        return printable(", ".join([*words, *([f"{others} others"] if others else [])]))


def find_pictures(path: Path) -> PictureSet:
    """What is in a folder and all folders below it, or in a zip, by name.

    Raises:
        ImageError: missing, no image in it, more files than a set has, or a zip that unpacks to too much.
    """
    if is_folder(path):
        kinds = [(file.relative_to(path).as_posix(), _kind(file)) for file in files_below(path, MAX_FILES, ImageError)]
    elif is_file(path):
        kinds = _members(path)
    else:
        raise ImageError(f"{path}: no such file or folder; {EXPECTED}")
    kinds = sorted((name, kind) for name, kind in kinds if not _is_hidden(name))
    found = PictureSet(tuple(name for name, kind in kinds if not kind), tuple(one for one in kinds if one[1]))
    if not found.names:
        others = f"; in it are {found.left_out_in_words}" if kinds else ""
        raise ImageError(f"{path}: no images in it; expected files that end in {', '.join(SUFFIXES)}{others}")
    return found


def shared_picture(one: Path, other: Path) -> tuple[str, str] | None:
    """The names of a picture, byte for byte, that two sets have; None where they have none in common.

    Only pictures of equal size are opened.

    Raises:
        ImageError: as `find_pictures`, or a picture cannot be read.
    """
    sizes, other_sizes = _sizes(one), _sizes(other)
    common = set(sizes.values()) & set(other_sizes.values())
    ours, theirs = (
        {sha256: name for name, sha256 in _hashes(path, [name for name, size in found.items() if size in common])}
        for path, found in ((one, sizes), (other, other_sizes))
    )
    return next(((name, theirs[sha256]) for sha256, name in ours.items() if sha256 in theirs), None)


def _sizes(path: Path) -> dict[str, int]:
    """Bytes of each picture of a set, unpacked."""
    names = find_pictures(path).names
    if is_folder(path):
        return {name: (path / name).stat().st_size for name in names}
    with open_zip(path) as archive:
        return {name: archive.getinfo(name).file_size for name in names}


def _hashes(path: Path, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names and sha256 of a set's pictures."""
    with ExitStack() as stack:
        archive = None if is_folder(path) else stack.enter_context(open_zip(path))
        for name in names:
            try:
                with (path / name).open("rb") if archive is None else archive.open(name) as file:
                    yield name, hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
            except UNREADABLE_ZIP as err:
                raise ImageError(f"{path}/{name}: cannot be read ({reason(err)}); replace or remove it") from err


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip to read from.

    Raises:
        ImageError: it is none, or not whole.
    """
    try:
        archive = zipfile.ZipFile(path)
    except UNREADABLE_ZIP as err:
        raise ImageError(f"{path}: not a whole zip ({reason(err)}); {EXPECTED}") from err
    with archive:
        yield archive


def reason(err: BaseException) -> str:
    """What a library says of a file, in a line."""
    return str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__


def _members(path: Path) -> list[tuple[str, str]]:
    """A zip's files by name and kind; of those with one name the last is read, as it is by whoever unpacks it."""
    with open_zip(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MAX_FILES:
        raise ImageError(f"{path}: more than {MAX_FILES} files; leave the pictures alone in it")
    kinds = {member.filename: _kind_by_name(member.filename) for member in members}
    unpacked = sum(member.file_size for member in members if not kinds[member.filename])
    if unpacked > (most := max(MAX_UNPACKED_BYTES, MAX_UNPACKED * path.stat().st_size)):
        sizes = f"its pictures unpack to {unpacked >> 20} MiB; of a zip of this size {most >> 20} MiB are read"
        raise ImageError(f"{path}: {sizes}; use a folder")
    num_earlier = Counter(member.filename for member in members) - Counter(list(kinds))
    return [*kinds.items(), *((name, EARLIER) for name in num_earlier.elements())]


def _kind(file: Path) -> str:
    """What a file of a folder is that is not read; empty for a picture."""
    if is_file(file):
        return _kind_by_name(file.name)
    if is_folder(file):
        return "folder that cannot be listed, or is here already"
    return "dead link" if file.is_symlink() else "special file"


def _kind_by_name(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return "" if suffix in SUFFIXES else suffix or "without a suffix"


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") and part != ".." for part in parts) or "__MACOSX" in parts
