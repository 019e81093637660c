"""Conversions and grids."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from nada.errors import OutputError, ShapeError
from nada.images import before_after, from_u8, grid, save_png, to_u8


def solid(color: tuple[int, ...], size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, color)


def test_bytes_survive_the_round_trip_to_floats():
    img_u8 = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(1, 3, 16, 16)
    assert torch.equal(to_u8(from_u8(img_u8)), img_u8)


def test_range_is_minus_one_to_one_and_values_outside_are_clamped():
    img = torch.tensor([-7.0, -1.0, 1.0, 9.0]).expand(1, 3, 1, 4)
    assert to_u8(img)[0, 0, 0].tolist() == [0, 0, 255, 255]
    assert from_u8(to_u8(img))[0, 0, 0].tolist() == [-1, -1, 1, 1]


def test_conversion_of_a_single_image_without_batch_is_refused():
    with pytest.raises(ShapeError, match=r"img: expected \[N, 3, H, W\], got \[3, 8, 8\]"):
        to_u8(torch.zeros(3, 8, 8))


def test_grid_places_images_row_by_row_on_white():
    img_u8 = torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 3, 4, 4)
    sheet = grid(img_u8, 2)
    assert sheet.size == (2 * 4 + 2, 2 * 4 + 2)
    assert [sheet.getpixel(at) for at in ((0, 0), (6, 0), (0, 6))] == [(0,) * 3, (1,) * 3, (2,) * 3]
    assert sheet.getpixel((4, 0)) == sheet.getpixel((9, 9)) == (255, 255, 255)


def test_grid_of_nothing_is_refused():
    with pytest.raises(ShapeError, match="needs an image and a column"):
        grid(torch.zeros(0, 3, 4, 4, dtype=torch.uint8), 2)


def test_before_after_puts_each_latent_above_its_adapted_image():
    source = torch.full((3, 3, 4, 4), 10, dtype=torch.uint8)
    target = torch.full((3, 3, 4, 4), 200, dtype=torch.uint8)
    sheet = before_after(source, target, 2)
    assert sheet.size == (10, 4 * 4 + 2 + 8 + 2)
    assert [sheet.getpixel((0, top)) for top in (0, 6, 18, 24)] == [(10,) * 3, (200,) * 3] * 2


def test_before_after_of_different_sets_is_refused():
    with pytest.raises(ShapeError, match=r"before_after: \[2, 3, 4, 4\] images above, \[1, 3, 4, 4\] below"):
        before_after(torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 4, 4), 2)


def test_png_is_written_whole_and_nothing_else(tmp_path: Path):
    save_png(solid((1, 2, 3)), tmp_path / "new" / "sheet.png")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["sheet.png"]
    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        assert sheet.getpixel((0, 0)) == (1, 2, 3)


def test_png_to_a_place_that_is_no_folder_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"sheet\.png: cannot be written \(File exists\)"):
        save_png(solid((1, 2, 3)), tmp_path / "file" / "sheet.png")


def test_true_images_stand_below_both_as_far_as_they_are_known():
    source, target = torch.zeros(3, 3, 4, 4).byte(), torch.full((3, 3, 4, 4), 100).byte()
    sheet = before_after(source, target, 2, torch.full((2, 3, 4, 4), 200).byte())
    assert sheet.height == 3 * 4 + 2 * 2 + 8 + 2 * 4 + 2  # three rows of two, then two rows of one
    assert [sheet.getpixel((0, top))[0] for top in (0, 6, 12, 24, 30)] == [0, 100, 200, 0, 100]
