from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.row.verify import compare
from tasks.store import row_folder


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a row's folder and its record."""
    monkeypatch.chdir(tmp_path)

    def make(name: str, weights: bytes = b"weights", **circumstances: Any) -> tuple[Path, dict[str, Any]]:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "generator.safetensors").write_bytes(weights)
        (folder / "samples.png").write_bytes(b"png")
        return folder, row_folder.write_record(folder, {"domain": "sketch", "device": "cpu", **circumstances})

    return make


def test_equal_rows_differ_in_nothing(rows: Any) -> None:
    _, record = rows("then", provenance={"torch": "2.13"})
    folder, remade = rows("now", provenance={"torch": "2.13"})
    verdict = compare(record, remade, folder)
    assert (verdict.differing, verdict.circumstances) == ((), ())


def test_a_difference_names_the_file_and_what_else_is_different(rows: Any) -> None:
    _, record = rows("then", threads=1, provenance={"torch": "2.12", "commit": "abc"})
    folder, remade = rows("now", weights=b"others", threads=1, provenance={"torch": "2.13", "commit": "abc"})
    verdict = compare(record, remade, folder)
    assert verdict.differing == ("generator.safetensors",)
    assert verdict.circumstances == ("provenance.torch: 2.12 then, 2.13 now",)


def test_a_file_that_only_one_of_them_has_is_a_difference(rows: Any) -> None:
    _, record = rows("then")
    folder, remade = rows("now")
    (folder / "samples.png").unlink()
    assert compare(record, remade, folder).differing == ("samples.png",)
    (folder / "samples.png").write_bytes(b"png")
    (folder / "probes.csv").write_text("step\n")
    remade = row_folder.write_record(folder, remade)
    assert compare(record, remade, folder).differing == ("probes.csv",)
