"""One entry point for every format: what a file is follows from its first bytes, what it becomes from its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nada.checkpoints.architecture import Reading
from nada.checkpoints.base_model import Parent
from nada.checkpoints.canonical import load_generator, read_header, save_generator
from nada.checkpoints.container import Container, container
from nada.checkpoints.conversion import information_lost
from nada.checkpoints.nvidia.export import save_nvidia
from nada.checkpoints.nvidia.stylegan2 import read_nvidia
from nada.checkpoints.openvino.mobilestylegan import holds_openvino, read_mobilestylegan
from nada.checkpoints.rosinality import read_rosinality, save_rosinality
from nada.errors import CheckpointError
from nada.generators.registry import Architecture, Network
from nada.hashing import sha256_file

Format = Literal["nada", "nvidia", "rosinality", "openvino"]

EXPECTED = "expected nada's .safetensors, NVIDIA's .pkl, rosinality's .pt or a wheel of MobileStyleGAN"
SUFFIXES: dict[str, Format] = {".safetensors": "nada", ".pkl": "nvidia", ".pt": "rosinality"}
CONTAINERS: dict[Container, Format] = {"safetensors": "nada", "pickle": "nvidia", "torch": "rosinality"}
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
    """The named networks in the file."""
    chosen: str
    """The one that is read; empty where there is but one."""
    supplied: tuple[str, ...]
    """What the file lacks and what stands in its place, a sentence each."""
    is_usual: bool
    """The tools of its format open it as it is."""
    parent: Parent | None
    """The generator that the file builds on; None: the file is whole."""
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
    return Inspection(
        format=format,
        config=config,
        num_parameters=sum(parameter.numel() for parameter in generator.parameters()),
        size_bytes=path.stat().st_size,
        sha256=sha256_file(path),
        networks=reading.networks,
        chosen=reading.chosen if len(reading.networks) > 1 else "",
        supplied=reading.supplied,
        is_usual=reading.is_usual,
        parent=read_header(path).parent if format == "nada" else None,
        notes=tuple(sentence for other in WRITERS if other != format for sentence in information_lost(config, other)),
    )


def detect(path: Path) -> Format:
    """The format of a file, from its first bytes.

    Raises:
        CheckpointError: missing, empty, or nothing that nada reads.
    """
    kind = container(path, EXPECTED)
    if kind == "torch" and (path.suffix == ".whl" or holds_openvino(path)):
        return "openvino"
    return CONTAINERS[kind]


def _read(path: Path, format: Format) -> Reading:
    if format == "nada":
        return Reading(generator=load_generator(path), networks=("generator",))
    return READERS[format](path)
