"""Files of latents, ours and other tools': `.npz` and `.npy` of W or W+. Imports no torch.

Nothing in such a file is executed, and reading costs time and memory in proportion to what is kept, which is bounded
whatever a header or a compressed member claims.
Legend: N latents, L style layers, W_DIM latent width.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nada.atomic import replacing
from nada.errors import LatentsError, one_line, shown
from nada.hashing import open_regular

NAMES = ("ws", "w_plus", "wplus", "w", "latents", "latent", "latent_code", "dlatents", "projected_w")
"""Of arrays that are taken for latents, in this order; a single array may have any name."""
OF_W_PLUS = ("ws", "w_plus", "wplus")
"""Of these, those whose rows are a generator's layers, and not so many latents in W."""
ABOUT = "about"
"""The array of our own files that is a text: JSON that says where the latents are from."""
MAX_BYTES = 64 << 20  # of a file and of its array: 1,800 latents in W+ of 18 rows of 512
MAX_ABOUT_BYTES = 1 << 16
MAX_HEADER = 10_000  # characters of an array's header
MOST_DIMS = 3
NAMED = 8  # arrays in a message
EXPECTED = "expected .npz or .npy with W ([N, W_DIM]) or W+ ([L, W_DIM] or [N, L, W_DIM])"
MAGIC_ZIP, MAGIC_NPY = b"PK", b"\x93NUMPY"
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip knows: equal latents make equal files
UNREADABLE = (
    OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, SyntaxError, MemoryError, OverflowError,
    NotImplementedError, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error,
)  # fmt: skip
"""What zipfile and NumPy raise of damaged files."""


@dataclass(frozen=True)
class LatentFile:
    """Latents as a file has them, and what it says of itself."""

    path: Path
    array: NDArray[np.float32]
    """Of one to three dimensions, finite."""
    is_w_plus: bool = False
    """Whether its name says that rows are those of one W+, however many."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Of our own files: `generator`, the sha256 of the one that draws them, and how they were found."""

    @property
    def generator(self) -> str | None:
        """sha256 of the canonical generator that the latents belong to, if the file says so."""
        sha256 = self.about.get("generator")
        return sha256 if isinstance(sha256, str) else None

    def ws(self, num_ws: int, w_dim: int, whose: str) -> NDArray[np.float32]:
        """The latents as a generator takes them, [N, L, W_DIM], not to be written to.

        [W_DIM] is one w, [N, W_DIM] and [N, 1, W_DIM] are many; [L, W_DIM] is one w+, and [N, L, W_DIM] are many. So
        L rows without a dimension ahead are always one w+. So are those of an array that is named for W+, however many:
        where they are not L, they are another generator's.

        Args:
            num_ws: L.
            w_dim: W_DIM.
            whose: names the generator in the message.

        Raises:
            LatentsError: they are another generator's.
        """
        array = self.array
        if array.ndim == 1:
            array = array[None]
        if array.ndim == 2:
            array = array[None] if len(array) == num_ws or self.is_w_plus else array[:, None]
        if array.shape[2] != w_dim or array.shape[1] not in (1, num_ws):
            raise LatentsError(
                f"{self.path}: latents {list(self.array.shape)}; {whose} takes W, [N, {w_dim}], or W+, [{num_ws}, "
                f"{w_dim}] or [N, {num_ws}, {w_dim}]"
            )
        return np.broadcast_to(array, (len(array), num_ws, w_dim))


def is_latents(path: Path) -> bool:
    """Whether a file begins as files of latents do; what cannot be read does not."""
    try:
        with open_regular(path) as file:
            start = file.read(len(MAGIC_NPY))
    except OSError:
        return False
    return start.startswith((MAGIC_ZIP, MAGIC_NPY))


def read_latents(path: Path) -> LatentFile:
    """Latents of any tool.

    Raises:
        LatentsError: no such file, neither .npz nor .npy, damaged, too large, or no numbers that could be latents.
    """
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as err:
        raise LatentsError(f"{path}: cannot be read ({err.strerror}); {EXPECTED}") from err
    if len(content) > MAX_BYTES:
        raise LatentsError(f"{path}: more than {MAX_BYTES >> 20} MiB; no file of latents needs that")
    try:
        if content.startswith(MAGIC_NPY):
            return LatentFile(path, _latents(path, content))
        if content.startswith(MAGIC_ZIP):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                name = _name(path, archive)
                about, array = _about(archive), _latents(path, _member(path, archive, name))
            return LatentFile(path, array, name.removesuffix(".npy") in OF_W_PLUS, about)
    except LatentsError:
        raise
    except UNREADABLE as err:
        raise LatentsError(f"{path}: damaged ({one_line(err) or type(err).__name__}); {EXPECTED}") from err
    raise LatentsError(f"{path}: neither .npz nor .npy by its content; {EXPECTED}; nada invert makes one of a photo")


def write_latents(path: Path, ws: NDArray[np.float32], about: Mapping[str, Any]) -> None:
    """One latent in W+ as `.npz`, for us and for every tool that reads NumPy's files; equal ones are equal bytes.

    Args:
        path: the file.
        ws: [L, W_DIM].
        about: plain data.

    Raises:
        OutputError: it cannot be written.
    """
    arrays = {"ws": np.asarray(ws, dtype=np.float32), ABOUT: np.array(json.dumps(dict(about), sort_keys=True))}
    with replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            npy.write_array(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", LONG_AGO), content.getvalue())


def _name(path: Path, archive: zipfile.ZipFile) -> str:
    """The member that holds the latents."""
    members = [name for name in archive.namelist() if name.endswith(".npy") and name != f"{ABOUT}.npy"]
    for name in NAMES:
        if f"{name}.npy" in members:
            return f"{name}.npy"
    if len(members) == 1:
        return members[0]
    arrays = shown([name.removesuffix(".npy") for name in members[:NAMED]]) if members else "none"
    raise LatentsError(f"{path}: its arrays are {arrays}; expected one named {', '.join(NAMES)}, or a single one")


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """A member's bytes, bounded whatever its header claims."""
    with archive.open(name) as member:
        content = member.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise LatentsError(f"{path}: {shown(name)} unpacks to more than {MAX_BYTES >> 20} MiB; no latents need that")
    return content


def _latents(path: Path, content: bytes) -> NDArray[np.float32]:
    """An array of an .npy file, checked."""
    array = _array(content)
    if array.dtype.kind != "f":
        raise LatentsError(f"{path}: an array of {array.dtype}; {EXPECTED}, of floating-point numbers")
    if not 1 <= array.ndim <= MOST_DIMS or array.size == 0:
        raise LatentsError(f"{path}: an array {list(array.shape)}; {EXPECTED}")
    with np.errstate(over="ignore"):
        latents = array.astype(np.float32)
    if not np.isfinite(latents).all():
        raise LatentsError(f"{path}: numbers in it are not finite; invert the picture again")
    return latents


def _array(content: bytes) -> NDArray[Any]:
    """What `np.load` would give, without pickles, and without room for what is not there.

    Raises:
        ValueError: it is damaged.
    """
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the format")
    shape, is_fortran, dtype = readers[version](file, max_header_size=MAX_HEADER)
    if dtype.hasobject:
        raise ValueError("Python objects, which are never unpickled")
    num = math.prod(shape)
    if num * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"an array {list(shape)} of {dtype} in {len(content) - file.tell()} bytes")
    flat = np.frombuffer(content, dtype, count=num, offset=file.tell()) if num else np.empty(0, dtype)
    return flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)


def _about(archive: zipfile.ZipFile) -> Mapping[str, Any]:
    """What our own file says of itself; nothing where it is another tool's, or says it in another way."""
    try:
        with archive.open(f"{ABOUT}.npy") as member:
            text = _array(member.read(MAX_ABOUT_BYTES))
        content = json.loads(str(text[()])) if text.dtype.kind == "U" and text.ndim == 0 else {}
    except (*UNREADABLE, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
