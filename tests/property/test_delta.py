"""Differences are exact for every bit pattern, and no stream takes more memory than its parent's tensor."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nada.checkpoints.delta import decode, digest, encode
from nada.errors import CheckpointError

BIT_PATTERNS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40)


def floats(bits: list[int]) -> Tensor:
    """float32 of any bits, NaN with payloads and both zeros among them."""
    return torch.from_numpy(np.array(bits, np.uint32).view(np.float32))


def bits(tensor: Tensor) -> bytes:
    return tensor.numpy().tobytes()


@given(BIT_PATTERNS, st.data())
def test_any_change_of_any_bits_comes_back_exactly(old: list[int], data: st.DataObject) -> None:
    new = data.draw(st.lists(st.integers(0, 2**32 - 1), min_size=len(old), max_size=len(old)))
    parent, child = {"a": floats(old)}, {"a": floats(new)}
    assert bits(decode(encode(child, parent), parent)["a"]) == bits(child["a"])


@given(BIT_PATTERNS, st.data())
def test_the_digest_tells_every_bit_name_and_shape_apart(pattern: list[int], data: st.DataObject) -> None:
    flipped = list(pattern)
    flipped[data.draw(st.integers(0, len(pattern) - 1))] ^= 1 << data.draw(st.integers(0, 31))
    same = digest({"a": floats(pattern)})
    assert same == digest({"a": floats(pattern)})
    others = [{"a": floats(flipped)}, {"b": floats(pattern)}, {"a": floats(pattern)[None]}]
    assert same not in map(digest, others)


def test_the_digest_does_not_depend_on_the_order_of_names() -> None:
    one, two = torch.ones(2), torch.zeros(3)
    assert digest({"a": one, "b": two}) == digest({"b": two, "a": one})


def test_what_did_not_change_is_left_out_and_small_changes_are_small() -> None:
    rng = torch.Generator().manual_seed(0)
    parent = {name: torch.randn(64, 64, 3, 3, generator=rng) for name in ("kept", "moved")}
    child = {**parent, "moved": parent["moved"] + 1e-3 * torch.randn(64, 64, 3, 3, generator=rng)}
    packed = encode(child, parent)
    assert list(packed) == ["moved"]
    assert packed["moved"].numel() < 0.6 * 4 * parent["moved"].numel()
    back = decode(packed, parent)
    assert torch.equal(back["moved"], child["moved"]) and torch.equal(back["kept"], parent["kept"])


PARENT = {"a": torch.ones(4)}


def stream(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        ({"b": stream(zlib.compress(bytes(16)))}, "'b' is no tensor of the parent"),
        ({"a": torch.ones(4)}, r"'a' is no stream of bytes \(torch.float32 \[4\]\)"),
        ({"a": stream(zlib.compress(bytes(16)))[None]}, "'a' is no stream of bytes"),
        ({"a": stream(b"not zlib")}, "'a' is damaged"),
        ({"a": stream(zlib.compress(bytes(16))[:-5])}, "'a' is damaged"),
        ({"a": stream(zlib.compress(bytes(12)))}, r"'a' is damaged \(its stream does not hold 16 bytes\)"),
        ({"a": stream(zlib.compress(bytes(16)) + b"more")}, "its stream does not hold 16 bytes"),
        ({"a": stream(zlib.compress(bytes(10_000_000)))}, "its stream does not hold 16 bytes"),
    ],
)
def test_damaged_and_foreign_streams_are_refused(packed: dict[str, Tensor], reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason):
        decode(packed, PARENT)


def test_a_bomb_is_refused_before_it_unpacks() -> None:
    import tracemalloc

    bomb = {"a": stream(zlib.compress(bytes(200_000_000)))}
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="does not hold 16 bytes"):
        decode(bomb, PARENT)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2_000_000
