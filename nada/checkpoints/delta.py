"""What an adaptation changed: exact differences to the tensors of a parent, packed small.

A float32 is an integer as well: nearby numbers have nearby bit patterns. A changed tensor is stored as the
difference of bit patterns, new - parent. Small differences of either sign are folded into small unsigned numbers
(0, -1, 1, -2 become 0, 1, 2, 3), whose bytes are then grouped by significance: the high ones are nearly all zero
and deflate well, the low ones are noise. Rebuilding adds the difference again, modulo 2^32, so it is exact for every
bit pattern.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nada.errors import CheckpointError, shown

LEVEL = 1  # of zlib: 6 gains 2% and takes 2.5 times as long
BITS = np.dtype("<u4")

Bits = npt.NDArray[np.uint32]


def encode(tensors: Mapping[str, Tensor], parent: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that differ from the parent's, each as a stream of uint8 [length]; equal ones are left out.

    Args:
        tensors: float32, by name.
        parent: float32, the same names and shapes.
    """
    packed = {}
    for name, tensor in tensors.items():
        new, old = _bits(tensor), _bits(parent[name])
        if not np.array_equal(new, old):
            packed[name] = torch.frombuffer(bytearray(_pack(new - old)), dtype=torch.uint8)
    return packed


def decode(packed: Mapping[str, Tensor], parent: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every tensor of the child, float32; needs no more memory than the parent has, whatever the streams claim.

    Raises:
        CheckpointError: a stream belongs to no tensor of the parent, is damaged, or has another length.
    """
    tensors = dict(parent)
    for name, stream in packed.items():
        old = parent.get(name)
        if old is None:
            raise CheckpointError(f"{shown(name)} is no tensor of the parent")
        if stream.dtype != torch.uint8 or stream.ndim != 1:
            kind = f"{stream.dtype} {list(stream.shape)}"
            raise CheckpointError(f"{shown(name)} is no stream of bytes ({kind})")
        difference = _unpack(name, stream.numpy().tobytes(), old.numel())
        new = (_bits(old) + difference).view(np.float32)
        tensors[name] = torch.from_numpy(new).reshape(old.shape)
    return tensors


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Hexadecimal sha256 over names, types, shapes and bytes of tensors, whatever their order."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _bits(tensor: Tensor) -> Bits:
    assert tensor.dtype == torch.float32
    bits: Bits = tensor.detach().cpu().contiguous().reshape(-1).numpy().view(BITS)
    return bits


def _pack(difference: Bits) -> bytes:
    signed = difference.view(np.int32)
    folded = ((signed << 1) ^ (signed >> 31)).view(np.uint8).reshape(-1, BITS.itemsize)
    return zlib.compress(folded.T.tobytes(), LEVEL)


def _unpack(name: str, stream: bytes, count: int) -> Bits:
    inflate = zlib.decompressobj()
    expected_bytes = count * BITS.itemsize
    try:
        planes = inflate.decompress(stream, expected_bytes + 1)  # one more than allowed tells a longer stream
    except zlib.error as err:
        raise CheckpointError(f"{shown(name)} is damaged ({err})") from err
    if len(planes) != expected_bytes or not inflate.eof or inflate.unused_data:
        raise CheckpointError(f"{shown(name)} is damaged (its stream does not hold {expected_bytes} bytes)")
    folded = np.frombuffer(planes, np.uint8).reshape(BITS.itemsize, -1).T.copy().view(BITS).reshape(-1)
    return (folded >> np.uint32(1)) ^ (np.uint32(0) - (folded & np.uint32(1)))
