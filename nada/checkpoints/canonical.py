"""The canonical format: a safetensors file whose metadata holds the architecture as JSON.

metadata["nada"] = {"format": 1, "config": {"family": "stylegan2", "resolution": 64, ...}}

Whole files hold every tensor, as float32 or, opt-in, float16. A delta holds packed differences to a parent, and its
metadata further has "delta": {"parent": {"name", "sha256", "size_bytes"}, "sha256": of the rebuilt tensors}. A light
file holds what moves a parent's styles, and has "light" in its place; see `nada.checkpoints.light`.
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
from nada.checkpoints.light import Light, decode_moves, encode_moves
from nada.checkpoints.safetensors_header import parse_json, read_metadata
from nada.errors import CheckpointError, OutputError, ParentError, ShapeError, one_line, shown
from nada.generators.light.generator import LightGenerator
from nada.generators.light.moves import StyleMoves
from nada.generators.registry import Architecture, Network, parse_architecture

FORMAT = 1
METADATA_KEY = "nada"


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a canonical file says of itself."""

    config: Architecture
    delta: Delta | None
    """The file holds what changed."""
    light: Light | None
    """The file moves styles. Where it is neither, it is whole."""

    @property
    def parent(self) -> Parent | None:
        """The generator that the file builds on; None: it is whole."""
        part = self.delta or self.light
        return None if part is None else part.parent


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
    parent = Parent.of(parent_path, parent_name)
    delta = Delta(parent=parent, sha256=digest(tensors))
    _write(path, generator.config, encode(tensors, before), {"delta": delta.model_dump()})
    return parent


def save_light(path: Path, generator: LightGenerator, parent: Parent) -> None:
    """Write what moves the styles of a base: kilobytes; whoever reads them needs that base.

    Args:
        path: the file to write.
        generator: the light domain.
        parent: its base, a whole canonical file.

    Raises:
        OutputError: the folder cannot be written.
    """
    light, tensors = encode_moves(generator.moves, parent)
    _write(path, generator.config, tensors, {"light": light.model_dump()})


def read_header(path: Path) -> Header:
    """Architecture and kind of a canonical file, without its tensors.

    Raises:
        CheckpointError: missing, truncated, or not a canonical generator.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a generator in nada's safetensors format")
    metadata, kind = read_metadata(path), "delta"
    try:
        header: Any = parse_json(metadata[METADATA_KEY])
        if header["format"] != FORMAT:
            raise CheckpointError(f"{path}: format {shown(header['format'])}; this version reads format {FORMAT}")
        config, delta = header["config"], header.get("delta")
        known_delta = None if delta is None else Delta.model_validate(delta)
        kind, light = "light", header.get("light")
        known_light = None if light is None else Light.model_validate(light)
    except pydantic.ValidationError as err:
        first = err.errors()[0]
        where = ".".join([kind, *map(str, first["loc"])])
        problem = f"{one_line(where)}: {one_line(first['msg'])} ({shown(first['input'])})"
        raise CheckpointError(f"{path}: {problem}") from err
    except (KeyError, TypeError, AttributeError, ValueError) as err:
        raise CheckpointError(f"{path}: safetensors without a nada header; expected a generator of nada's") from err
    if known_delta is not None and known_light is not None:
        raise CheckpointError(f"{path}: both a delta and a light domain; a file is one of them")
    return Header(config=parse_architecture(path, config), delta=known_delta, light=known_light)


def load_generator(path: Path, device: str = "cpu", parent_folders: Iterable[Path] = ()) -> Network:
    """Read a generator, in evaluation mode, every tensor checked by name and shape.

    Args:
        path: a whole file, a delta, or a light one, which is folded into weights.
        device: where to.
        parent_folders: where a parent may lie, beside what `find_parent` looks through by itself.

    Raises:
        CheckpointError: missing, truncated, of another format, or tensors that do not fit the architecture.
        ParentError: a file whose parent is not there.
    """
    header = read_header(path)
    if header.light is not None:
        parent_path = find_parent(path, header.light.parent, parent_folders)
        _check_parent(parent_path, header.config)
        return load_light(path, load_generator(parent_path)).folded().to(device)
    tensors = _read_tensors(path)
    if header.delta is None:
        check_tensors(path, tensors)
    else:
        parent_path = find_parent(path, header.delta.parent, parent_folders)
        tensors = _rebuild(path, header.delta, tensors, _load_parent(parent_path, header.config))
    return build(path, header.config, tensors).to(device)


def load_light(path: Path, base: Network, base_sha256: str | None = None) -> LightGenerator:
    """A light domain on a base that is loaded already: milliseconds.

    Args:
        path: a light file.
        base: shared, not copied.
        base_sha256: of its file, to be compared; None: any generator of such styles, such as a relative of the parent.

    Raises:
        CheckpointError: no light file, damaged, or of another style space.
        ParentError: another base.
    """
    light, moves = load_moves(path)
    if base_sha256 not in (None, light.parent.sha256):
        raise ParentError(
            f"{path}: moves the styles of {shown(light.parent.name)} (sha256 {light.parent.sha256}), and not of the "
            f"generator with sha256 {base_sha256}"
        )
    try:
        return LightGenerator(base, moves.to(str(next(base.parameters()).device)))
    except ShapeError as err:
        raise CheckpointError(f"{path}: {err}") from err


def load_moves(path: Path) -> tuple[Light, StyleMoves]:
    """What a light file holds, on the CPU.

    Raises:
        CheckpointError: no light file, or damaged.
    """
    header = read_header(path)
    if header.light is None:
        raise CheckpointError(
            f"{path}: holds weights of its own, no style multipliers or offsets; expected a row of adapt.parameters: "
            "modulation or style-offset"
        )
    return header.light, decode_moves(path, header.light, _read_tensors(path), header.config.style_layers())


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
    _check_parent(path, config)
    return tensors_of(load_generator(path))


def _check_parent(path: Path, config: Architecture) -> None:
    header = read_header(path)
    if header.parent is not None:
        raise CheckpointError(f"{path}: is itself a delta; a delta's parent is a whole file")
    if header.config != config:
        raise CheckpointError(f"{path}: is no parent of this delta, whose architecture is another ({config!r})")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _write(
    path: Path, config: Architecture, tensors: Mapping[str, Tensor], part: Mapping[str, Any] | None = None
) -> None:
    header: dict[str, Any] = {"format": FORMAT, "config": config.model_dump(), **(part or {})}
    with replacing(path) as partial:
        try:
            save_file(dict(tensors), partial, {METADATA_KEY: json.dumps(header, sort_keys=True)})
        except SafetensorError as err:
            raise OutputError(f"{path}: cannot be written ({err})") from err
