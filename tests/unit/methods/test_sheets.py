"""Pictures for readers, in few bytes."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from nada.images import grid
from nada.methods.sheets import FEW_BYTES, LEAST_PX, MOST_PX, as_jpeg, at_most, save_sheet

NOISE = torch.randint(0, 256, (6, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def save(path: Path, img_u8: torch.Tensor, most_bytes: int = FEW_BYTES) -> int:
    return save_sheet(path, lambda px: grid(at_most(img_u8, px), 3), img_u8.shape[-1], most_bytes)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as sheet:
        return sheet.size


def test_a_sheet_that_fits_has_its_pictures_as_large_as_they_are(tmp_path: Path) -> None:
    assert save(tmp_path / "sheet.webp", NOISE) == 64
    assert size(tmp_path / "sheet.webp") == (3 * 64 + 4, 2 * 64 + 2)


def test_one_that_does_not_is_of_smaller_pictures(tmp_path: Path) -> None:
    px = save(tmp_path / "sheet.webp", NOISE, most_bytes=10_000)
    assert LEAST_PX <= px < 64
    assert size(tmp_path / "sheet.webp") == (3 * px + 4, 2 * px + 2)
    assert (tmp_path / "sheet.webp").stat().st_size <= 10_000


def test_pictures_do_not_become_so_small_that_nobody_sees_anything(tmp_path: Path) -> None:
    assert save(tmp_path / "sheet.webp", NOISE, most_bytes=10) == LEAST_PX
    assert save(tmp_path / "tiny.webp", NOISE[:, :, :8, :8], most_bytes=10) == 8


def test_large_pictures_are_shown_as_large_as_a_page_shows_them(tmp_path: Path) -> None:
    plain = torch.full((1, 3, 1024, 1024), 100, dtype=torch.uint8)
    assert save(tmp_path / "sheet.webp", plain) == MOST_PX
    assert at_most(plain, MOST_PX).unique().tolist() == [100]


def test_the_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.webp", "other.webp"):
        save(tmp_path / name, NOISE, most_bytes=10_000)
    assert (tmp_path / "one.webp").read_bytes() == (tmp_path / "other.webp").read_bytes()


def test_a_jpeg_of_it_is_the_same_picture_and_none_of_a_damaged_one(tmp_path: Path) -> None:
    save(tmp_path / "sheet.webp", torch.full((2, 3, 32, 32), 100, dtype=torch.uint8))
    jpeg = as_jpeg(tmp_path / "sheet.webp")
    assert jpeg is not None and jpeg[:3] == b"\xff\xd8\xff"
    (tmp_path / "sheet.webp").write_bytes(b"RIFF")
    assert as_jpeg(tmp_path / "sheet.webp") is None
