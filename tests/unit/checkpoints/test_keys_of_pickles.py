"""Keys and places whose hashes can be chosen: many of them would cost the square of their count."""

from __future__ import annotations

from pathlib import Path

import pytest

from nada.checkpoints import read_any
from nada.checkpoints.pickles.allowlist import MAX_SPREAD_KEYS
from nada.checkpoints.pickles.restricted import load_pickle
from nada.errors import CheckpointError
from tests.hostile.growing import PICKLES


def written(tmp_path: Path, name: str, n: int) -> Path:
    path = tmp_path / "keys.pkl"
    path.write_bytes(PICKLES[name](n))
    return path


@pytest.mark.parametrize(
    "name", ["keys of one hash", "keys of one hash, set singly", "keys that are fractions", "items of one hash"]
)
def test_a_thousand_numbers_are_keys_and_more_are_refused(tmp_path: Path, name: str):
    """An optimiser of torch before 1.5 has one for each of its few hundred tensors."""
    assert len(load_pickle(written(tmp_path, name, MAX_SPREAD_KEYS), {})) == MAX_SPREAD_KEYS
    with pytest.raises(CheckpointError, match="more than 1024 keys, and a number of any size among them"):
        read_any(written(tmp_path, name, MAX_SPREAD_KEYS + 2))


def test_any_number_of_texts_and_of_small_numbers_are_keys(tmp_path: Path):
    assert len(load_pickle(written(tmp_path, "keys that are texts", 5000), {})) == 5000
    small = b"\x80\x04}(" + b"".join(b"M" + i.to_bytes(2, "little") + b"N" for i in range(5000)) + b"u."
    (tmp_path / "small.pkl").write_bytes(small)
    assert len(load_pickle(tmp_path / "small.pkl", {})) == 5000


def test_a_place_of_the_memo_beyond_the_files_length_is_refused(tmp_path: Path):
    for instruction in (b"p99\n", b"r\x63\x00\x00\x00"):
        (tmp_path / "memo.pkl").write_bytes(b"\x80\x04N" + instruction + b".")
        with pytest.raises(CheckpointError, match="an entry of the memo that no pickle of this size has"):
            read_any(tmp_path / "memo.pkl")
