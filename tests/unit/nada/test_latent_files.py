"""Files of latents: ours come back, other tools' are read, and those of nobody cost nothing."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nada.errors import LatentsError
from nada.latent_files import is_latents, read_latents, write_latents

L, W_DIM = 4, 3
PLUS = np.arange(L * W_DIM, dtype=np.float32).reshape(L, W_DIM)


def ws(path: Path) -> Any:
    return read_latents(path).ws(L, W_DIM, "sketch")


def refusal(path: Path) -> str:
    with pytest.raises(LatentsError) as err:
        ws(path)
    assert "\n" not in str(err.value) and str(err.value).startswith(str(path))
    return str(err.value).removeprefix(f"{path}: ")


def test_ours_come_back_with_what_they_say_of_themselves_and_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_latents(tmp_path / name, PLUS, {"generator": "abc", "levels": 3.5})
    found = read_latents(tmp_path / "a.npz")
    assert (found.generator, found.about["levels"]) == ("abc", 3.5)
    assert np.array_equal(found.ws(L, W_DIM, "sketch"), PLUS[None])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as other_tools:
        assert np.array_equal(other_tools["ws"], PLUS)


@pytest.mark.parametrize(
    ("shape", "num"), [((W_DIM,), 1), ((1, W_DIM), 1), ((5, W_DIM), 5), ((5, 1, W_DIM), 5), ((L, W_DIM), 1),
                       ((1, L, W_DIM), 1), ((5, L, W_DIM), 5)]
)  # fmt: skip
def test_w_and_w_plus_of_any_shape_are_read(tmp_path: Path, shape: tuple[int, ...], num: int) -> None:
    latents = np.random.default_rng(0).normal(size=shape)
    np.save(tmp_path / "w.npy", latents)
    found = ws(tmp_path / "w.npy")
    assert (found.shape, found.dtype) == ((num, L, W_DIM), np.float32)
    expected = latents.reshape(num, -1, W_DIM)
    assert np.allclose(found, np.broadcast_to(expected, found.shape))


@pytest.mark.parametrize("name", ["ws", "w_plus", "w", "latent", "projected_w", "anything"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_other_tools_are_found_by_name_or_because_they_are_alone(
    tmp_path: Path, name: str, save: Any
) -> None:
    save(tmp_path / "other.npz", **{name: np.asfortranarray(PLUS.astype(np.float16))})
    assert np.array_equal(ws(tmp_path / "other.npz"), PLUS[None])


@pytest.mark.parametrize(("name", "is_refused"), [("w_plus", True), ("ws", True), ("w", False), ("latents", False)])
def test_layers_of_another_generator_are_no_latents_in_w(tmp_path: Path, name: str, is_refused: bool) -> None:
    np.savez(tmp_path / "a.npz", **{name: np.zeros((L + 2, W_DIM), np.float32)})
    if is_refused:
        assert refusal(tmp_path / "a.npz") == "latents [6, 3]; sketch takes W, [N, 3], or W+, [4, 3] or [N, 4, 3]"
    else:
        assert ws(tmp_path / "a.npz").shape == (L + 2, L, W_DIM)


def test_among_several_arrays_the_known_name_is_taken(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", noise=np.ones(7), w=PLUS[0])
    assert np.array_equal(ws(tmp_path / "a.npz")[0, 2], PLUS[0])
    np.savez(tmp_path / "b.npz", noise=np.ones(7), codes=PLUS[0])
    assert refusal(tmp_path / "b.npz").startswith("its arrays are ['noise', 'codes']; expected one named ws, w_plus, ")


@pytest.mark.parametrize("shape", [(W_DIM + 1,), (2, W_DIM + 1), (3, L + 1, W_DIM), (2, L, W_DIM + 1)])
def test_those_of_another_generator_say_which_shapes_are_expected(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "w.npy", np.zeros(shape, np.float32))
    assert refusal(tmp_path / "w.npy") == (f"latents {list(shape)}; sketch takes W, [N, 3], or W+, [4, 3] or [N, 4, 3]")


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.array([1.0, np.nan, 2.0]), "numbers in it are not finite; invert the picture again"),
        (np.array([1e300, 0, 0]), "numbers in it are not finite; invert the picture again"),
        (np.zeros((2, 2, 2, 2)), "an array [2, 2, 2, 2]; expected .npz or .npy with W"),
        (np.zeros((0, W_DIM)), "an array [0, 3]; expected .npz or .npy with W"),
        (np.zeros(3, int), "an array of int64; expected .npz or .npy with W"),
        (np.array(["a", "b", "c"]), "an array of <U1; expected .npz or .npy with W"),
    ],
)
def test_numbers_that_are_no_latents_are_refused(tmp_path: Path, array: Any, why: str) -> None:
    np.save(tmp_path / "w.npy", array)
    assert refusal(tmp_path / "w.npy").startswith(why)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "executed"),)

    np.save(tmp_path / "w.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    assert "Python objects, which are never unpickled" in refusal(tmp_path / "w.npy")
    np.savez(tmp_path / "w.npz", ws=np.array([Bomb()], dtype=object))
    assert "Python objects, which are never unpickled" in refusal(tmp_path / "w.npz")
    assert not (tmp_path / "executed").exists()


def npy(shape: tuple[int, ...], content: bytes) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue() + content


def test_headers_that_promise_more_than_there_is_cost_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.npy").write_bytes(npy((1 << 40, 3), b"1234"))
    assert "an array [1099511627776, 3] of float32 in 4 bytes" in refusal(tmp_path / "w.npy")
    monkeypatch.setattr("nada.latent_files.MAX_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ws.npy", npy((1000, 3), bytes(12_000)))
    assert refusal(tmp_path / "bomb.npz").startswith("'ws.npy' unpacks to more than ")
    (tmp_path / "large.npy").write_bytes(npy((1000, 3), bytes(12_000)))
    assert refusal(tmp_path / "large.npy").startswith("more than ")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("name", ["w.npz", "w.npy"])
def test_what_is_cut_is_damaged(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    (np.savez if name.endswith("z") else np.save)(path, PLUS)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert refusal(path).startswith("damaged (")


def test_what_is_no_such_file_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.npz").startswith(
        "cannot be read (No such file or directory); expected .npz or .npy"
    )
    assert refusal(tmp_path).startswith("") and not is_latents(tmp_path)
    (tmp_path / "w.pt").write_bytes(b"anything")
    assert refusal(tmp_path / "w.pt").startswith("neither .npz nor .npy by its content; expected")
    os.mkfifo(tmp_path / "pipe.npz")
    assert refusal(tmp_path / "pipe.npz").startswith("cannot be read (not a regular file)")
