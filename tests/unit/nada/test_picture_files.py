"""Files that are not what they claim to be, and sets that hold more than is read."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nada import picture_files
from nada.errors import ImageError
from nada.picture_files import check_images, read_images


def count_images(path: Path) -> int:
    return len(check_images(path).names)


def solid(color: tuple[int, ...], size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, color)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "portraits"
    path.mkdir()
    solid((255, 0, 0)).save(path / "b.png")
    solid((0, 0, 255)).save(path / "a.jpg", quality=95)
    return path


def zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def png_bytes(tmp_path: Path, color: tuple[int, int, int] = (1, 2, 3)) -> bytes:
    solid(color).save(tmp_path / "one.png")
    return (tmp_path / "one.png").read_bytes()


def test_folder_is_read_sorted_by_name(folder: Path):
    img_u8 = read_images(folder, 8)
    assert img_u8.shape == (2, 3, 8, 8) and img_u8.dtype == torch.uint8
    assert img_u8[0, 2].float().mean() > 250, "a.jpg is blue and comes first"
    assert torch.equal(img_u8[1, :, 0, 0], torch.tensor([255, 0, 0], dtype=torch.uint8))


def test_other_files_hidden_files_and_folders_are_ignored(folder: Path):
    (folder / "notes.txt").write_text("not an image")
    (folder / "._b.png").write_bytes(b"resource fork")
    (folder / "more.png").mkdir()
    assert count_images(folder) == 2


def test_images_are_cropped_to_the_centre_square_and_resized(folder: Path):
    wide = solid((0, 0, 0), (40, 16))
    wide.paste((255, 255, 255), (12, 0, 28, 16))
    for file in folder.iterdir():
        file.unlink()
    wide.save(folder / "wide.png")
    assert read_images(folder, 4).min() == 255


def test_resizing_is_antialiased(folder: Path):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    for file in folder.iterdir():
        file.unlink()
    Image.fromarray(stripes).save(folder / "stripes.png")
    assert (read_images(folder, 8).float() - 127.5).abs().max() < 16


def test_transparent_pixels_become_white(folder: Path):
    solid((0, 0, 0, 0), mode="RGBA").save(folder / "b.png")
    assert read_images(folder, 8)[1].min() == 255


def test_sixteen_bit_grey_keeps_its_brightness(folder: Path):
    Image.fromarray(np.full((8, 8), 32768, np.uint16)).save(folder / "b.png")
    assert read_images(folder, 8)[1].unique().tolist() == [128]


def test_rotation_of_a_camera_is_applied(folder: Path):
    photo = solid((0, 0, 0), (8, 8))
    photo.paste((255, 255, 255), (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3  # orientation: rotated by 180 degrees
    photo.save(folder / "b.png", exif=exif)
    img_u8 = read_images(folder, 8)[1]
    assert img_u8[:, :4].max() == 0 and img_u8[:, 4:].min() == 255


def test_zip_is_read_like_a_folder(folder: Path, tmp_path: Path):
    members = {f"inside/{file.name}": file.read_bytes() for file in folder.iterdir()}
    path = zipped(tmp_path / "set.zip", members | {"__MACOSX/inside/._a.png": b"x", "readme.txt": b"x"})
    assert count_images(path) == 2
    assert torch.equal(read_images(path, 8), read_images(folder, 8))


def test_missing_path_is_named(tmp_path: Path):
    with pytest.raises(ImageError) as err:
        count_images(tmp_path / "nowhere")
    assert str(err.value) == f"{tmp_path}/nowhere: no such file or folder; expected a folder or a .zip of images"


def test_folder_without_images_is_refused(tmp_path: Path):
    with pytest.raises(ImageError, match=r"no images in it; expected files that end in \.png, \.jpg"):
        read_images(tmp_path, 8)


def test_file_that_is_no_zip_is_refused(folder: Path):
    with pytest.raises(ImageError, match=r"b\.png: not a whole zip .*expected a folder or a \.zip of images"):
        read_images(folder / "b.png", 8)


def test_empty_file_is_named(folder: Path):
    (folder / "b.png").write_bytes(b"")
    with pytest.raises(ImageError) as err:
        count_images(folder)
    assert str(err.value) == f"{folder}/b.png: empty file (0 bytes); replace or remove it"


def test_text_that_ends_in_png_is_named(folder: Path):
    (folder / "b.png").write_text("<html>not found</html>")
    with pytest.raises(ImageError, match=r"b\.png: not a readable image; expected PNG, JPEG, WEBP, .* content"):
        count_images(folder)


def test_wrong_extension_of_a_known_format_is_read_by_content(folder: Path):
    (folder / "a.jpg").rename(folder / "a.png")
    assert read_images(folder, 8).shape[0] == 2


def test_formats_outside_the_list_never_reach_a_decoder(folder: Path):
    solid((1, 2, 3)).save(folder / "b.png", format="TGA")
    with pytest.raises(ImageError, match=r"b\.png: not a readable image"):
        read_images(folder, 8)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", ["a.jpg", "b.png"])
def test_truncated_image_is_named(folder: Path, name: str, kept: float):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / name)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ImageError, match=rf"{name}: (damaged|not a readable) image"):
        read_images(folder, 8)
    with pytest.raises(ImageError, match=rf"{name}: (damaged|not a readable) image"):
        check_images(folder)


@pytest.mark.parametrize("side", [10_000, 100_000])
def test_picture_with_too_many_pixels_is_named_as_such_before_decoding(folder: Path, side: int):
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    parts = [struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
             for kind, body in chunks]  # fmt: skip
    (folder / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    for read in (check_images, lambda path: read_images(path, 8)):
        with pytest.raises(ImageError, match=r"b\.png: \d+( x 10000)? pixels; at most 64 million are read$"):
            read(folder)


def test_picture_above_our_own_limit_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(picture_files, "MAX_PIXELS", 63)
    with pytest.raises(ImageError, match=r"a\.jpg: 8 x 8 pixels; at most 0 million are read"):
        count_images(folder)


def test_set_too_large_for_memory_is_refused_before_reading(folder: Path):
    with pytest.raises(ImageError, match="2 images at 100000 px take 55 GiB; at most 8 GiB"):
        read_images(folder, 100_000)


def test_zip_with_path_tricks_is_read_in_memory_and_writes_nothing(tmp_path: Path):
    inner = tmp_path / "inner"
    inner.mkdir()
    content = png_bytes(tmp_path)
    path = zipped(inner / "set.zip", {"../../evil.png": content, "/etc/evil.png": content, "C:\\evil.png": content})
    before = sorted(tmp_path.rglob("*"))
    assert read_images(path, 8).shape[0] == 3
    assert sorted(tmp_path.rglob("*")) == before and not (tmp_path.parent / "evil.png").exists()


def test_zip_bomb_is_stopped_by_the_bytes_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(picture_files, "MAX_FILE_BYTES", 1 << 20)
    path = zipped(tmp_path / "bomb.zip", {"zeros.png": bytes(8 << 20)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 14
    with pytest.raises(ImageError, match=r"bomb\.zip/zeros\.png: more than 1 MiB; no image needs that"):
        count_images(path)


def test_damaged_member_of_a_zip_is_named(tmp_path: Path):
    content = png_bytes(tmp_path)
    path = zipped(tmp_path / "set.zip", {"one.png": content})
    raw = bytearray(path.read_bytes())
    raw[raw.find(b"IDAT") + 6] ^= 0xFF
    path.write_bytes(bytes(raw))
    with pytest.raises(ImageError, match=r"set\.zip/one\.png: cannot be unpacked .*CRC"):
        read_images(path, 8)


def test_cut_off_zip_is_refused(tmp_path: Path):
    path = zipped(tmp_path / "set.zip", {"one.png": png_bytes(tmp_path)})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ImageError, match=r"set\.zip: not a whole zip"):
        read_images(path, 8)


def test_counting_names_every_file_that_is_no_image_up_to_five(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "good.png")
    for index in range(7):
        (tmp_path / f"bad{index}.png").write_bytes(b"" if index % 2 else b"text")
    with pytest.raises(ImageError) as caught:
        count_images(tmp_path)
    message = str(caught.value)
    assert all(f"bad{index}.png: " in message for index in range(5))
    assert "bad5.png" not in message and message.endswith("; and 2 more")


@pytest.mark.parametrize("suffix", ["tif", "tiff", "TIF", "jfif", "jpe", "gif", "avif"])
def test_what_pillow_can_read_is_read(folder: Path, suffix: str):
    name = {"jfif": "JPEG", "jpe": "JPEG", "gif": "GIF", "avif": "AVIF"}.get(suffix, "TIFF")
    solid((255, 0, 0)).save(folder / f"c.{suffix}", format=name)
    assert check_images(folder).left_out == ()
    assert (read_images(folder, 8)[2] - torch.tensor([255, 0, 0])[:, None, None]).abs().max() <= 3


def test_pixels_of_32_bits_are_refused_as_nobody_knows_their_range(folder: Path):
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(folder / "c.tif")
    with pytest.raises(ImageError, match=r"c\.tif: damaged image \(32 bits a channel; save it with 8 or 16\)"):
        check_images(folder)


def test_tags_of_a_tiff_that_all_point_to_the_same_bytes_are_refused_unread(folder: Path):
    solid((1, 2, 3), (64, 64)).save(folder / "c.tif")
    content = bytearray((folder / "c.tif").read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (num,) = struct.unpack_from("<H", content, start)
    more = [struct.pack("<HHII", 40_000 + tag, 7, 10_000, 8) for tag in range(100)]
    directory = bytes(content[start + 2 : start + 2 + 12 * num]) + b"".join(more) + bytes(4)
    struct.pack_into("<I", content, 4, len(content))
    (folder / "c.tif").write_bytes(bytes(content) + struct.pack("<H", num + 100) + directory)
    with pytest.raises(ImageError, match=r"c\.tif: not a readable image"):
        check_images(folder)


def test_a_picture_that_may_not_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    original = Path.open

    def refuse(path: Path, *arguments: str) -> object:
        if path.name == "b.png":
            raise PermissionError(13, "Permission denied")
        return original(path, *arguments)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match=r"b\.png: cannot be read \(\[Errno 13\] Permission denied\)"):
        check_images(folder)
