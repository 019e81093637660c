"""One entry point for every format: what a file is follows from its first bytes, what it becomes from its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nada.checkpoints.architecture import Reading
from nada.checkpoints.base_model import Parent
from nada.checkpoints.canonical import load_generator, read_header, save_generator
from nada.checkpoints.conversion import information_lost
from nada.checkpoints.nvidia.export import save_nvidia
from nada.checkpoints.nvidia.stylegan2 import read_nvidia
from nada.checkpoints.openvino.mobilestylegan import holds_openvino, read_mobilestylegan
from nada.checkpoints.pickles.torch_file import STREAM_MAGIC, ZIP_MAGIC
from nada.checkpoints.rosinality import read_rosinality, save_rosinality
from nada.errors import CheckpointError
from nada.generators.registry import Architecture, Network
from nada.hashing import sha256_file

Format = Literal["nada", "nvidia", "rosinality", "openvino"]

HEAD_BYTES = 64
PICKLE_MAGIC = b"\x80"
HEADER_LENGTH_BYTES = 8  # a safetensors file opens with the length of its JSON header
EXPECTED = "expected nada's .safetensors, NVIDIA's .pkl, rosinality's .pt or a wheel of MobileStyleGAN"
SUFFIXES: dict[str, Format] = {".safetensors": "nada", ".pkl": "nvidia", ".pt": "rosinality"}
READERS = {"nvidia": read_nvidia, "rosinality": read_rosinality, "openvino": read_mobilestylegan}
WRITERS = {"nada": save_generator, "nvidia": save_nvidia, "rosinality": save_rosinality}


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a file of weights holds."""

    format: Format
    config: Architecture
    num_parameters: int
    size_bytes: int
    sha256: str
    networks: tuple[str, ...]
    """The named networks in the file; the averaged one is read."""
    mean_w: Literal["stored", "measured"]
    """Whether the file holds the mean w; without it, one is measured on fixed latents."""
    parent: Parent | None
    """The generator that a difference rebuilds from; None: the file is whole."""
    notes: tuple[str, ...]
    """What writing this generator in each other format would lose, a sentence each."""


def read_any(path: Path) -> Network:
    """Read a generator in a format that nada knows, executing nothing that is in the file.

    Returns:
        The averaged generator on the CPU, in evaluation mode, its architecture inferred from the file.

    Raises:
        CheckpointError: missing, truncated, unsafe, or of a kind that is not supported; says which.
    """
    return _read(path, detect(path)).generator


def write_any(path: Path, generator: Network, format: Format | None = None) -> None:
    """Write a generator in a format; without one, the suffix decides: .safetensors, .pkl or .pt.

    Raises:
        CheckpointError: the suffix names no format, or the format cannot hold this generator.
        OutputError: the file cannot be written.
    """
    chosen = format or SUFFIXES.get(path.suffix)
    if chosen not in WRITERS:
        known = ", ".join(f"{suffix} ({name})" for suffix, name in SUFFIXES.items())
        raise CheckpointError(f"{path}: {format or path.suffix!r} names no format to write; use {known}")
    WRITERS[chosen](path, generator)


def inspect(path: Path) -> Inspection:
    """Read a file as `read_any` does, every tensor checked, and say what it holds.

    Raises:
        CheckpointError: as for `read_any`.
    """
    format = detect(path)
    reading = _read(path, format)
    generator, config = reading.generator, reading.generator.config
    delta = read_header(path).delta if format == "nada" else None
    return Inspection(
        format=format,
        config=config,
        num_parameters=sum(parameter.numel() for parameter in generator.parameters()),
        size_bytes=path.stat().st_size,
        sha256=sha256_file(path),
        networks=reading.networks,
        mean_w="measured" if reading.is_mean_measured else "stored",
        parent=None if delta is None else delta.parent,
        notes=tuple(sentence for other in WRITERS if other != format for sentence in information_lost(config, other)),
    )


def detect(path: Path) -> Format:
    """The format of a file, from its first bytes.

    Raises:
        CheckpointError: missing, empty, or nothing that nada reads.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise CheckpointError(f"{path}: a pipe or device; {EXPECTED}")  # opening it could wait for ever
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as err:
        raise CheckpointError(f"{path}: cannot be read ({err.strerror}); {EXPECTED}") from err
    if not head:
        raise CheckpointError(f"{path}: empty file (0 bytes); fetch it again")
    if head.startswith(ZIP_MAGIC) and (path.suffix == ".whl" or holds_openvino(path)):
        return "openvino"
    if head.startswith((ZIP_MAGIC, STREAM_MAGIC)):
        return "rosinality"
    if head.startswith(PICKLE_MAGIC):
        return "nvidia"
    if head[HEADER_LENGTH_BYTES : HEADER_LENGTH_BYTES + 1] == b"{":
        return "nada"
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: a pointer of Git LFS, not the weights; run `git lfs pull`")
    if head.lstrip().startswith(b"<"):
        raise CheckpointError(f"{path}: a web page, not weights; the download failed, fetch it again")
    raise CheckpointError(f"{path}: unknown format (begins with {head[:8]!r}); {EXPECTED}")


def _read(path: Path, format: Format) -> Reading:
    if format == "nada":
        return Reading(generator=load_generator(path), networks=("generator",))
    return READERS[format](path)
