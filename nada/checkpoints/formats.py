"""One entry point for every format of StyleGAN2: what a file is follows from its first bytes, not its name."""

from __future__ import annotations

import zipfile
from pathlib import Path

from nada.checkpoints.canonical import load_generator
from nada.checkpoints.inert import LEGACY_TORCH_MAGIC
from nada.checkpoints.nvidia import read_nvidia
from nada.checkpoints.rosinality import read_rosinality
from nada.errors import CheckpointError
from nada.stylegan2 import StyleGAN2

HEAD_BYTES = 64
ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
HEADER_LENGTH_BYTES = 8  # a safetensors file opens with the length of its JSON header
EXPECTED = "expected nada's .safetensors, NVIDIA's .pkl or rosinality's .pt of StyleGAN2"


def read_any(path: Path) -> StyleGAN2:
    """Read a StyleGAN2 in nada's, NVIDIA's or rosinality's format, executing nothing that is in the file.

    Returns:
        The averaged generator on the CPU, in evaluation mode, its architecture inferred from the file.

    Raises:
        CheckpointError: missing, truncated, unsafe, or of a kind that is not supported; says which.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as err:
        raise CheckpointError(f"{path}: cannot be read ({err.strerror}); {EXPECTED}") from err
    if not head:
        raise CheckpointError(f"{path}: empty file (0 bytes); fetch it again")
    if head.startswith(ZIP_MAGIC):
        _refuse_compressed(path)
        return read_rosinality(path)
    if head.startswith(LEGACY_TORCH_MAGIC):
        return read_rosinality(path)
    if head.startswith(PICKLE_MAGIC):
        return read_nvidia(path)
    if head[HEADER_LENGTH_BYTES : HEADER_LENGTH_BYTES + 1] == b"{":
        return load_generator(path)
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: a pointer of Git LFS, not the weights; run `git lfs pull`")
    if head.lstrip().startswith(b"<"):
        raise CheckpointError(f"{path}: a web page, not weights; the download failed, fetch it again")
    raise CheckpointError(f"{path}: unknown format (begins with {head[:8]!r}); {EXPECTED}")


def _refuse_compressed(path: Path) -> None:
    """torch stores tensors uncompressed; a compressed member could unpack to any size."""
    try:
        with zipfile.ZipFile(path) as archive:
            compressed = [info.filename for info in archive.infolist() if info.compress_type != zipfile.ZIP_STORED]
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as err:
        raise CheckpointError(f"{path}: truncated or damaged torch file ({err}); fetch it again") from err
    if compressed:
        raise CheckpointError(f"{path}: compressed member {compressed[0]!r}; torch writes none, fetch it again")
