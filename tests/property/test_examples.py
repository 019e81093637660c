"""Examples of properties are the same in every run, whatever the process did before."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st


def examples() -> list[tuple[int, float, str]]:
    drawn: list[tuple[int, float, str]] = []

    @given(st.integers(0, 2**32 - 1), st.floats(0.01, 10), st.text(max_size=9))
    def draw(number: int, fraction: float, text: str) -> None:
        drawn.append((number, fraction, text))

    draw()
    return drawn


def test_a_module_that_was_loaded_meanwhile_changes_no_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = examples()
    path = tmp_path / "mine.py"
    path.write_text(f"X = {[12345 + number for number in range(50)]}\nY = 1.25, 3.75, 7.5\nZ = 'sketch', 'neon'\n")
    spec = spec_from_file_location("mine", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mine", module)
    spec.loader.exec_module(module)
    assert examples() == before
