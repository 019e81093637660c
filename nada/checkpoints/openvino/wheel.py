"""Files in a wheel, which is a zip: read by name, each within a bound that its claims cannot move."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from nada.checkpoints.pickles.torch_archive import ELSEWHERE_32, ENCRYPTED_FLAG, END, END_MAGIC
from nada.errors import CheckpointError, one_line, shown

MAX_DIRECTORY_BYTES = 1 << 20  # a wheel of twenty files has 2 KiB; each entry costs ten times as much once it is read
WHEN_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


def file_names(path: Path) -> frozenset[str]:
    """Names of the files in a wheel, without their folders; none where it is no whole wheel."""
    try:
        with _opened(path) as archive:
            return frozenset(PurePosixPath(name).name for name in archive.namelist())
    except WHEN_BROKEN:
        return frozenset()


def read_files(path: Path, limits: Mapping[str, int]) -> dict[str, bytearray]:
    """The content of files in a wheel, whatever folder they lie in.

    Args:
        path: the wheel.
        limits: name without folder -> the most bytes that the file may unpack to.

    Raises:
        CheckpointError: damaged, or a file missing, there twice, or larger than its bound.
    """
    try:
        with _opened(path) as archive:
            return {name: _read_one(path, archive, name, limit) for name, limit in limits.items()}
    except WHEN_BROKEN as err:
        raise CheckpointError(f"{path}: not a whole wheel ({one_line(err)}); fetch it again") from err


def _opened(path: Path) -> zipfile.ZipFile:
    """The archive, once its directory is known to be small: opening it reads every entry.

    Raises:
        ValueError: it has another end than a small archive has.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - END.size))
        end = file.read(END.size)
    if len(end) < END.size:
        raise ValueError("cut short")
    magic, _, _, _, _, directory_bytes, start, comment_bytes = END.unpack(end)
    if magic != END_MAGIC or comment_bytes or start == ELSEWHERE_32 or directory_bytes > MAX_DIRECTORY_BYTES:
        raise ValueError(f"no directory of at most {MAX_DIRECTORY_BYTES} bytes at its end")
    if start + directory_bytes + END.size != size:  # so no 64-bit end lies between, which would count instead
        raise ValueError("content behind its directory, or before its beginning")
    return zipfile.ZipFile(path)


def _read_one(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> bytearray:
    found = [info for info in archive.infolist() if PurePosixPath(info.filename).name == name]
    if len(found) != 1:
        raise CheckpointError(f"{path}: {len(found)} files {shown(name)} in it; expected one")
    if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or found[0].flag_bits & ENCRYPTED_FLAG:
        raise CheckpointError(f"{path}: {shown(name)} is encrypted or packed in a way that wheels are not")
    with archive.open(found[0]) as member:
        content = bytearray(member.read(limit + 1))  # its size in the directory is a claim
    if len(content) > limit:
        raise CheckpointError(f"{path}: {shown(name)} unpacks to more than {limit} bytes; no such network does")
    return content
