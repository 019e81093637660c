"""What kind of file holds weights, by its first bytes; what else lies under such a name is told by its kind."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

from nada.checkpoints.pickles.torch_file import STREAM_MAGIC, ZIP_MAGIC
from nada.errors import CheckpointError

Container = Literal["safetensors", "pickle", "torch"]

HEAD_BYTES = 64
PICKLE_MAGIC = b"\x80"
HEADER_LENGTH_BYTES, LARGEST_LENGTH_BYTES = 8, 4  # a safetensors file opens with the length of its JSON header
SAFETENSORS_MARK = bytes(HEADER_LENGTH_BYTES - LARGEST_LENGTH_BYTES) + b"{"
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of compressed files, and what unpacks them. Never done here: a small file may unpack to any size."""
COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")


def container(path: Path, expected: str) -> Container:
    """The kind of a file of weights.

    Args:
        path: the file.
        expected: what could be read, for messages.

    Raises:
        CheckpointError: missing, empty, or nothing that holds weights.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise CheckpointError(f"{path}: a pipe or device; {expected}")  # opening it could wait for ever
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as err:
        raise CheckpointError(f"{path}: cannot be read ({err.strerror}); {expected}") from err
    if not head:
        raise CheckpointError(f"{path}: empty file (0 bytes); fetch it again")
    if head.startswith((ZIP_MAGIC, STREAM_MAGIC)):
        return "torch"
    if head[LARGEST_LENGTH_BYTES : HEADER_LENGTH_BYTES + 1] == SAFETENSORS_MARK:
        return "safetensors"
    if head.startswith(PICKLE_MAGIC):  # so may a safetensors file: one of 32 has such a length
        return "pickle"
    for magic, program in COMPRESSED.items():
        if head.startswith(magic):
            command = f"{program} -dc {shlex.quote(str(path))} > {shlex.quote(str(_unpacked(path)))}"
            raise CheckpointError(f"{path}: compressed; unpack it first: {command}")
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: a pointer of Git LFS, not the weights; run `git lfs pull`")
    if head.lstrip().startswith(b"<"):
        raise CheckpointError(f"{path}: a web page, not weights; the download failed, fetch it again")
    raise CheckpointError(f"{path}: unknown format (begins with {head[:8]!r}); {expected}")


def _unpacked(path: Path) -> Path:
    """A name for what is in a compressed file."""
    return path.with_suffix("") if path.suffix in COMPRESSED_SUFFIXES else path.with_stem(f"{path.stem}-unpacked")
