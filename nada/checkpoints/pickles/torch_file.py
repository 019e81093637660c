"""Reads the files of `torch.save` without torch's own reader: a zip, or before torch 1.6 a row of pickles.

Either way a pickle describes the content and refers to storages, rows of numbers that lie beside it. The pickle goes
through `nada.checkpoints.pickles.restricted`; the numbers are taken as they lie.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from nada.checkpoints.pickles.allowlist import STORAGE_DTYPES, WAY_OUT, RefusedError, StandIn, Storage, closed
from nada.checkpoints.pickles.restricted import InertUnpickler
from nada.checkpoints.pickles.torch_archive import check_archive
from nada.errors import CheckpointError

ZIP_MAGIC = b"PK\x03\x04"
STREAM_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, pickled
STREAM_VERSION = 1001
LENGTH_BYTES = 8
PROGRAM_PREFIX = "__torch__"  # of the modules whose classes a TorchScript program brings
LOAD_STORAGE = "torch.storage._load_from_bytes"
"""The function by which a plain pickle refers to a nested torch file; `load_storage` answers to it."""

Maker = Callable[[str, torch.dtype, int], Tensor]
"""From key, type and count to a storage's numbers."""


def load_torch(path: Path) -> Any:
    """The contents of a torch file as inert data and tensors.

    Raises:
        CheckpointError: it cannot be read, is truncated or damaged, or asks for anything that is no data.
    """
    return _load(path, InertUnpickler)


def load_program(path: Path) -> Any:
    """The modules of a TorchScript program, each `Closed` around its attributes; its code is not looked at.

    Raises:
        CheckpointError: as for `load_torch`.
    """
    return _load(path, ProgramUnpickler)


class ProgramUnpickler(InertUnpickler):
    """Also admits a program's own classes, each as an object that is kept closed."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith(PROGRAM_PREFIX):
            return StandIn(f"{module}.{name}", closed)
        return super().find_class(module, name)


def _load(path: Path, unpickler: type[InertUnpickler]) -> Any:
    try:
        with path.open("rb") as file:
            is_zip = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
            file.seek(0)
            return _load_zip(file, unpickler) if is_zip else _load_stream(file, path.stat().st_size)
    except RefusedError as err:
        raise CheckpointError(f"{path}: {err}") from err
    except (Exception, MemoryError) as err:  # a damaged file can fail in any way at all
        raise CheckpointError(f"{path}: truncated or damaged torch file ({_reason(err)}); fetch it again") from err


def load_storage(content: bytes) -> Storage:
    """The numbers of one tensor from the torch file that is nested in a plain pickle.

    Raises:
        RefusedError: anything else is in it.
    """
    if not isinstance(content, bytes) or not content.startswith(STREAM_MAGIC):
        raise RefusedError(f"a tensor's storage is not a torch file; {WAY_OUT}")
    storage = _load_stream(io.BytesIO(content), len(content))
    if not isinstance(storage, Storage):
        raise RefusedError(f"a tensor's storage holds a {type(storage).__name__}; {WAY_OUT}")
    return storage


class _Storages:
    """The storages that a pickle refers to, each made once."""

    def __init__(self, make: Maker) -> None:
        self.make = make
        self.found: dict[str, Storage] = {}

    def find(self, reference: Any) -> Storage:
        """`("storage", type, key, device, count)`, in older files followed by None."""
        match reference:
            case ("storage", StandIn(name=kind), str(key), str(), int(count), *rest) if (
                kind in STORAGE_DTYPES and count >= 0 and rest in ([], [None])
            ):
                pass
            case _:
                raise RefusedError(f"the pickle refers to something that is no storage; {WAY_OUT}")
        dtype = STORAGE_DTYPES[kind]
        if key not in self.found:
            self.found[key] = Storage(self.make(key, dtype, count))
        storage = self.found[key]
        if storage.flat.dtype != dtype or len(storage.flat) != count:
            raise RefusedError("one storage under two descriptions; fetch the file again")
        return storage


def _load_zip(file: BinaryIO, unpickler: type[InertUnpickler]) -> Any:
    with zipfile.ZipFile(file) as archive:
        folder = check_archive(file, archive, may_have_code=unpickler is ProgramUnpickler)
        if f"{folder}/byteorder" in archive.namelist() and archive.read(f"{folder}/byteorder") != b"little":
            raise RefusedError("numbers in another byte order than little-endian; save the file on another machine")

        def make(key: str, dtype: torch.dtype, count: int) -> Tensor:
            numbers = bytearray(archive.read(f"{folder}/data/{key}"))
            if len(numbers) != count * dtype.itemsize:
                raise RefusedError(f"a storage of {len(numbers)} bytes for {count} numbers; fetch the file again")
            return _flat(numbers, dtype)

        content = archive.read(f"{folder}/data.pkl")
        return unpickler(io.BytesIO(content), len(content), find_storage=_Storages(make).find).load()


def _load_stream(file: BinaryIO, size_bytes: int) -> Any:
    """Magic number, version, system, the content, the keys of its storages; then, for each, count and numbers."""
    buffers: dict[str, bytearray] = {}
    bytes_left = size_bytes

    def make(key: str, dtype: torch.dtype, count: int) -> Tensor:
        nonlocal bytes_left
        bytes_left -= count * dtype.itemsize + LENGTH_BYTES
        if bytes_left < 0:
            raise RefusedError("storages that claim more than the file holds; fetch the file again")
        buffers[key] = bytearray(count * dtype.itemsize)  # filled once the pickles are over
        return _flat(buffers[key], dtype)

    storages = _Storages(make)

    def load() -> Any:
        return InertUnpickler(file, size_bytes, find_storage=storages.find).load()

    _, version, system, content, keys = load(), load(), load(), load(), load()
    if version != STREAM_VERSION or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedError("a torch file of another version or byte order; save the file anew")
    # Compared by hash: sorting would compare texts, and one long text may stand in a short file many times.
    is_list = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not is_list or len(keys) != len(buffers) or set(keys) != buffers.keys():
        raise RefusedError("other storages than its content asks for; fetch the file again")
    for key in keys:
        count = int.from_bytes(file.read(LENGTH_BYTES), "little")
        numbers = file.read(len(buffers[key]))
        if count != len(storages.found[key].flat) or len(numbers) != len(buffers[key]):
            raise RefusedError("truncated or damaged torch file (storage); fetch it again")
        buffers[key][:] = numbers
    return content


def _flat(numbers: bytearray, dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(numbers, dtype=dtype) if numbers else torch.empty(0, dtype=dtype)


def _reason(err: BaseException) -> str:
    return str(err) if isinstance(err, zipfile.BadZipFile | NotImplementedError) else type(err).__name__
