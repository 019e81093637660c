"""The canonical format: a safetensors file whose metadata holds the architecture as JSON.

metadata["nada"] = {"format": 1, "config": {"family": "stylegan2", "resolution": 64, ...}}

Whole files hold every tensor, as float32 or, opt-in, float16. A delta holds packed differences to a parent, and its
metadata further has "delta": {"parent": {"name", "sha256", "size_bytes"}, "sha256": of the rebuilt tensors}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nada.atomic import replacing
from nada.checkpoints.architecture import build, check_tensors, tensors_of
from nada.checkpoints.base_model import Delta, Parent, find_parent
from nada.checkpoints.delta import decode, digest, encode
from nada.checkpoints.fp16 import fp16_tensors
from nada.checkpoints.safetensors_header import parse_json, read_metadata
from nada.errors import CheckpointError, OutputError, one_line, shown
from nada.generators.registry import Architecture, Network, parse_architecture
from nada.hashing import sha256_file

FORMAT = 1
METADATA_KEY = "nada"


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a canonical file says of itself."""

    config: Architecture
    delta: Delta | None
    """None: the file is whole."""


def save_generator(path: Path, generator: Network) -> None:
    """Write every tensor, whole or not at all: beside the target first, then renamed.

    Raises:
        OutputError: the folder cannot be written.
    """
    _write(path, generator.config, tensors_of(generator))


def save_fp16(path: Path, generator: Network) -> None:
    """Write the synthesis network in float16: about half the bytes, and pictures that differ a little.

    Raises:
        CheckpointError: a value is beyond float16's range.
        OutputError: the folder cannot be written.
    """
    _write(path, generator.config, fp16_tensors(path, generator))


def save_delta(path: Path, generator: Network, parent_path: Path, parent_name: str) -> Parent:
    """Write what changed against a parent, exactly; `load_generator` then needs that parent.

    Args:
        path: the file to write.
        generator: of the parent's architecture.
        parent_path: a whole canonical file.
        parent_name: for people who must find it again.

    Returns:
        How the parent is known from now on.

    Raises:
        CheckpointError: the parent cannot be one.
        OutputError: the folder cannot be written.
    """
    tensors, before = tensors_of(generator), _load_parent(parent_path, generator.config)
    sha256, size_bytes = sha256_file(parent_path), parent_path.stat().st_size
    parent = Parent(name=parent_name, sha256=sha256, size_bytes=size_bytes)
    delta = Delta(parent=parent, sha256=digest(tensors))
    _write(path, generator.config, encode(tensors, before), delta)
    return parent


def read_header(path: Path) -> Header:
    """Architecture and kind of a canonical file, without its tensors.

    Raises:
        CheckpointError: missing, truncated, or not a canonical generator.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a generator in nada's safetensors format")
    metadata = read_metadata(path)
    try:
        header: Any = parse_json(metadata[METADATA_KEY])
        if header["format"] != FORMAT:
            raise CheckpointError(f"{path}: format {shown(header['format'])}; this version reads format {FORMAT}")
        config, delta = header["config"], header.get("delta")
        known_delta = None if delta is None else Delta.model_validate(delta)
    except pydantic.ValidationError as err:
        first = err.errors()[0]
        where = ".".join(["delta", *map(str, first["loc"])])
        problem = f"{one_line(where)}: {one_line(first['msg'])} ({shown(first['input'])})"
        raise CheckpointError(f"{path}: {problem}") from err
    except (KeyError, TypeError, AttributeError, ValueError) as err:
        raise CheckpointError(f"{path}: safetensors without a nada header; expected a generator of nada's") from err
    return Header(config=parse_architecture(path, config), delta=known_delta)


def load_generator(path: Path, device: str = "cpu", parent_folders: Iterable[Path] = ()) -> Network:
    """Read a generator, in evaluation mode, every tensor checked by name and shape.

    Args:
        path: a whole file, or a delta.
        device: where to.
        parent_folders: where a delta's parent may lie, beside what `find_parent` looks through by itself.

    Raises:
        CheckpointError: missing, truncated, of another format, or tensors that do not fit the architecture.
        ParentError: a delta whose parent is not there.
    """
    header, tensors = read_header(path), _read_tensors(path)
    if header.delta is None:
        check_tensors(path, tensors)
    else:
        parent_path = find_parent(path, header.delta.parent, parent_folders)
        tensors = _rebuild(path, header.delta, tensors, _load_parent(parent_path, header.config))
    return build(path, header.config, tensors).to(device)


def _rebuild(path: Path, delta: Delta, packed: dict[str, Tensor], parent: dict[str, Tensor]) -> dict[str, Tensor]:
    try:
        tensors = decode(packed, parent)
    except CheckpointError as err:
        raise CheckpointError(f"{path}: {err}; copy or fetch it again") from err
    if digest(tensors) != delta.sha256:
        raise CheckpointError(f"{path}: the rebuilt tensors are not those that were saved; copy or fetch it again")
    return tensors


def _load_parent(path: Path, config: Architecture) -> dict[str, Tensor]:
    """The tensors of a file that a delta of this architecture can build on.

    Raises:
        CheckpointError: it cannot be one.
    """
    header = read_header(path)
    if header.delta is not None:
        raise CheckpointError(f"{path}: is itself a delta; a delta's parent is a whole file")
    if header.config != config:
        raise CheckpointError(f"{path}: is no parent of this delta, whose architecture is another ({config!r})")
    return tensors_of(load_generator(path))


def _read_tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _write(path: Path, config: Architecture, tensors: Mapping[str, Tensor], delta: Delta | None = None) -> None:
    header: dict[str, Any] = {"format": FORMAT, "config": config.model_dump()}
    if delta is not None:
        header["delta"] = delta.model_dump()
    with replacing(path) as partial:
        try:
            save_file(dict(tensors), partial, {METADATA_KEY: json.dumps(header, sort_keys=True)})
        except SafetensorError as err:
            raise OutputError(f"{path}: cannot be written ({err})") from err
