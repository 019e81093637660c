"""A file of weights is known by its first bytes, whatever they happen to be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nada.checkpoints import save_generator
from nada.checkpoints.container import container
from tests.conftest import tiny_generator


@pytest.mark.parametrize("padding", range(32))
def test_a_header_of_any_length_is_one_of_safetensors(tmp_path: Path, padding: int) -> None:
    """Lengths are multiples of eight; one of 32 begins with the byte that begins a pickle."""
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors", {"nada": "x" * (8 * padding)})
    assert container(tmp_path / "x.safetensors", "") == "safetensors"


def test_torch_files_and_pickles_are_told_apart(tmp_path: Path) -> None:
    for is_zip in (True, False):
        torch.save({}, tmp_path / "x.pt", _use_new_zipfile_serialization=is_zip)
        assert container(tmp_path / "x.pt", "") == "torch"
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04\x95\x7b\x00\x00\x00\x00\x00\x00\x00}")
    assert container(tmp_path / "x.pkl", "") == "pickle"
    save_generator(tmp_path / "x.safetensors", tiny_generator())
    assert container(tmp_path / "x.safetensors", "") == "safetensors"
