"""Networks in the package of a JavaScript library, read without running any of it.

An npm package is a gzipped tar. A network in it is two files: a manifest, JSON that lists its tensors in order with
shapes and scales, and a shard, their bytes one after the other. A tensor is float32, or bytes that stand for
`scale x byte + min`. One package alone is known, and only its bytes are unpacked: headers of a tar can cost more than
their length, whoever reads them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from nada.checkpoints.safetensors_header import parse_json
from nada.errors import CheckpointError, one_line, shown
from nada.hashing import open_regular

PACKAGE = "@vladmandic/face-api 1.7.15"
SHA256 = "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031"
MAX_UNPACKED_BYTES = 96 << 20  # of the whole archive; the published one has 43 MB
MAX_MEMBER_BYTES = 16 << 20  # the largest network has 6.4 MB
MAX_DIMENSIONS = 4
MANIFEST, SHARD = "-weights_manifest.json", ".bin"
WHEN_BROKEN = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, ArithmeticError)
State = dict[str, Tensor]


def read_package(path: Path, networks: Iterable[str], sha256: str = SHA256) -> dict[str, State]:
    """The tensors of networks in a package, by the library's names; convolutions as torch orders them.

    Args:
        path: the package, name-version.tgz.
        networks: such as `age_gender_model`.
        sha256: of the package; nothing of any other is unpacked.

    Raises:
        CheckpointError: another file, damaged, a network missing, or tensors that do not fill their shard.
    """
    names = list(networks)
    try:
        with open_regular(path) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                raise CheckpointError(f"{path}: sha256 {found}, not {sha256} of {PACKAGE}; fetch it again")
            file.seek(0)  # what was hashed is what is read, whatever the name leads to by now
            content = _members(file, {name + end for name in names for end in (MANIFEST, SHARD)})
        return {name: dict(_tensors(content[name + MANIFEST], content[name + SHARD])) for name in names}
    except KeyError as err:
        raise CheckpointError(f"{path}: no file {shown(str(err.args[0]))} in it; fetch the package again") from err
    except WHEN_BROKEN as err:
        raise CheckpointError(f"{path}: not a whole package of networks ({one_line(err)}); fetch it again") from err


class _Bounded(io.RawIOBase):
    """What comes out of a gzip stream, up to a limit that no header can move."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self._stream, self._left = stream, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._stream.read(len(buffer))
        self._left -= len(found)
        if self._left < 0:
            raise ValueError("it unpacks to more than any such package does")
        buffer[: len(found)] = found
        return len(found)


def _members(file: BinaryIO, wanted: set[str]) -> dict[str, bytes]:
    """Files of an archive by their names without folders; a second one of a name is an error."""
    content: dict[str, bytes] = {}
    with (
        gzip.GzipFile(fileobj=file) as stream,
        io.BufferedReader(_Bounded(stream, MAX_UNPACKED_BYTES)) as bounded,
        tarfile.open(fileobj=bounded, mode="r|") as archive,
    ):
        for member in archive:
            name = PurePosixPath(member.name).name
            if name not in wanted or not member.isreg():
                continue
            if name in content or member.size > MAX_MEMBER_BYTES:
                raise ValueError(f"{shown(name)} is there twice, or has {member.size} bytes")
            extracted = archive.extractfile(member)
            assert extracted is not None
            content[name] = extracted.read()
            if len(content[name]) != member.size:
                raise ValueError(f"{shown(name)} is cut short")
    return content


def _tensors(manifest: bytes, shard: bytes) -> Iterator[tuple[str, Tensor]]:
    """What a shard holds, by its manifest.

    Raises:
        ValueError: the manifest does not describe the shard.
    """
    at = 0
    for name, shape, quantised in _entries(parse_json(manifest.decode())):
        size = math.prod(shape) * (1 if quantised else 4)
        part = shard[at : at + size]
        if len(part) != size:
            raise ValueError(f"{shown(name)} lies beyond the end of its shard")
        at += size
        yield name, _tensor(name, part, shape, quantised)
    if at != len(shard):
        raise ValueError(f"a shard of {len(shard)} bytes, of which its manifest describes {at}")


def _tensor(name: str, part: bytes, shape: list[int], quantised: tuple[float, float] | None) -> Tensor:
    """One tensor; TensorFlow keeps filters as [height, width, in, out], or [height, width, channels, 1] by channel."""
    if quantised is None:
        values = np.frombuffer(part, dtype="<f4").copy()
    else:
        values = np.frombuffer(part, dtype=np.uint8).astype(np.float32)
        with np.errstate(all="ignore"):  # what is too large is told below
            values = values * np.float32(quantised[0]) + np.float32(quantised[1])
    if not np.isfinite(values).all():
        raise ValueError(f"{shown(name)} holds what is no number")
    tensor = torch.from_numpy(values).reshape(shape)
    if len(shape) < MAX_DIMENSIONS:
        return tensor
    return tensor.permute(2, 3, 0, 1).contiguous() if name.endswith("depthwise_filter") else tensor.permute(3, 2, 0, 1)


def _entries(groups: Any) -> Iterator[tuple[str, list[int], tuple[float, float] | None]]:
    """Name, shape, and scale and minimum of what is kept as bytes, of each tensor in order."""
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise ValueError("a manifest that is no list of groups")
    for group in groups:
        weights = group.get("weights")
        for entry in weights if isinstance(weights, list) else [None]:
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                raise ValueError("a manifest with an entry that is no tensor")
            yield entry["name"], _shape(entry), _quantisation(entry)


def _shape(entry: dict[str, Any]) -> list[int]:
    shape: Any = entry.get("shape")
    is_shape = isinstance(shape, list) and 0 < len(shape) <= MAX_DIMENSIONS
    if not is_shape or not all(type(side) is int and 0 < side <= MAX_MEMBER_BYTES for side in shape):
        raise ValueError(f"{shown(entry['name'])} has a shape that no tensor has")
    if entry.get("dtype") != "float32":
        raise ValueError(f"{shown(entry['name'])} is not of float32")
    return list(shape)


def _quantisation(entry: dict[str, Any]) -> tuple[float, float] | None:
    found = entry.get("quantization")
    if found is None:
        return None
    numbers: list[Any] = [found.get("scale"), found.get("min")] if isinstance(found, dict) else []
    if not numbers or found.get("dtype") != "uint8" or not all(type(one) in (int, float) for one in numbers):
        raise ValueError(f"{shown(entry['name'])} is kept in a way that is not known")
    return float(numbers[0]), float(numbers[1])
