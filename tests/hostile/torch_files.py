"""Torch files, zips and the older rows of pickles, that are not what torch writes."""

from __future__ import annotations

import io
import pickle
import stat
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from tests.checkpoint_files import (
    rosinality_state,
)
from tests.conftest import tiny_generator
from tests.hostile.common import CALLABLES, SOUND, Files, attack, old_file, short
from tests.hostile.pickles import INSTRUCTIONS, endless_pickles


def zipped(members: list[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def torch_zip(content: bytes, *more: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    return zipped([("archive/data.pkl", content), ("archive/version", b"3\n"), *more])


def pickles_in_zips(marker: Path) -> Files:
    def storage(*parts: Any) -> bytes:
        """A reference to a storage, of any parts; a type is written as its name."""
        body = b"".join(
            f"c{part.__module__}\n{part.__name__}\n".encode() if isinstance(part, type) else pickle.dumps(part, 2)[2:-1]
            for part in parts
        )
        return b"\x80\x02(" + body + b"tQ."

    numbers, kind = ("archive/data/0", bytes(12)), torch.FloatStorage
    references = {
        "a reference to a text": b"\x80\x02X\x01\x00\x00\x000Q.",
        "a reference to a name": storage("module", kind, "0", "cpu", 3),
        "a storage of a text type": storage("storage", "torch.FloatStorage", "0", "cpu", 3),
        "a storage of another type": storage("storage", OrderedDict, "0", "cpu", 3),
        "a storage with a number for its key": storage("storage", kind, 0, "cpu", 3),
        "a storage with a path for its key": storage("storage", kind, "../../../etc/passwd", "cpu", 3),
        "a storage that is not there": storage("storage", kind, "1", "cpu", 3),
        "a storage of negative length": storage("storage", kind, "0", "cpu", -3),
        "a storage of giant length": storage("storage", kind, "0", "cpu", 1 << 60),
        "a storage of another length": storage("storage", kind, "0", "cpu", 4),
        "a storage of a fraction": storage("storage", kind, "0", "cpu", 3.5),
        "a storage with too many parts": storage("storage", kind, "0", "cpu", 3, None, None),
        "a storage with a view": storage("storage", kind, "0", "cpu", 3, ("x", 0, 1)),
        "a storage with too few parts": storage("storage", kind, "0"),
    }
    files = {f"{name}.pt": torch_zip(content, numbers) for name, content in references.items()}
    argument = short(f"touch {marker}"[-255:]) + b"\x85R."
    for name in CALLABLES[::3]:
        module, member = name.split(" ")
        files[f"{name} in a zip.pt"] = torch_zip(b"\x80\x02c" + f"{module}\n{member}\n".encode() + argument)
    for name, content in endless_pickles().items():
        files[f"{Path(name).stem}, in a zip.pt"] = torch_zip(content)
    for name in ("call a string", "fetch by registered extension 1", "set attributes of a list", "no end"):
        files[f"{name}, in a zip.pt"] = torch_zip(b"\x80\x02" + INSTRUCTIONS[name])
    torch.save({"g_ema": rosinality_state(tiny_generator()), "hook": attack(marker)}, file := io.BytesIO())
    contents: dict[str, Any] = {
        "a list": [1],
        "a number": 3,
        "no g_ema": {"model": {}, "epoch": 3},
        "g_ema a list": {"g_ema": [1]},
        "g_ema empty": {"g_ema": {}},
        "g_ema of numbers": {"g_ema": {"input.input": 1}},
        "names without end": {"g_ema": {"x" * 100_000: torch.zeros(1)}},
        "a name of control codes": {"g_ema": {"\x1b[2J\n": torch.zeros(1)}},
        "one tensor a thousand times": {"g_ema": dict.fromkeys((f"t{i}" for i in range(1000)), torch.zeros(1000))},
        "11 doublings": {"g_ema": {f"to_rgbs.{i}.bias": torch.zeros(1) for i in range(11)}},
        "whole numbers": {
            "g_ema": {**rosinality_state(tiny_generator()), "style.1.bias": torch.zeros(8, dtype=torch.int64)}
        },
        "a sparse tensor": {"g_ema": {"x": torch.zeros(8).to_sparse()}},
        "a tensor of no device": {"g_ema": {"x": torch.zeros(8, device="meta")}},
    }
    files |= {f"{name}.pt": saved(content) for name, content in contents.items()}
    return files | {"an attack beside g_ema.pt": file.getvalue()}


def saved(content: Any) -> bytes:
    torch.save(content, file := io.BytesIO())
    return file.getvalue()


def false_zips(whole: bytes) -> Files:
    """Archives that are not what torch writes, around a pickle that would do."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        records: list[tuple[str | zipfile.ZipInfo, bytes]] = [(i.filename, archive.read(i)) for i in archive.infolist()]
    link = zipfile.ZipInfo("rosinality/data/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    folder = zipfile.ZipInfo("rosinality/data/")
    names = ("../../escaped", "/etc/escaped", "rosinality/../../escaped", "rosinality\\..\\escaped", "C:\\escaped",
             "rosinality//data/9", "rosinality/./x", "other/data.pkl", "flat", "rosinality")  # fmt: skip
    files = {f"a member {name!r}".replace("/", "|"): zipped([*records, (name, b"x")]) for name in names}
    files |= {
        "a symbolic link": zipped([*records, (link, b"/etc/passwd")]),
        "a folder": zipped([*records, (folder, b"")]),
        "a comment": commented(zipped(records)),
        "content before": b"PK\x03\x04" + bytes(60) + zipped(records),
        "content behind": zipped(records) + b"trailing",
        "two archives": zipped(records) + zipped(records),
        "no pickle": zipped(records[1:]),
        "nothing in it": zipped([]),
        "big-endian": zipped([(n, b"big" if str(n).endswith("byteorder") else c) for n, c in records]),
        "a bomb, deflated": zipped([*records, ("rosinality/data/99", bytes(50 << 20))], zipfile.ZIP_DEFLATED),
        "a bomb, bzip2": zipped([*records, ("rosinality/data/99", bytes(5 << 20))], zipfile.ZIP_BZIP2),
        "a bomb, lzma": zipped([*records, ("rosinality/data/99", bytes(5 << 20))], zipfile.ZIP_LZMA),
    }
    files |= {name: patched(whole, *patch) for name, patch in PATCHES.items()}
    files[f"{SOUND}zip"] = zipped(records)
    return {f"{name}.pt": content for name, content in files.items()} | {"a record twice.pt": twice(zipped(records))}


def commented(content: bytes) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(content), "a") as archive:
        archive.comment = b"comment"
    return file.getvalue()


def twice(content: bytes) -> bytes:
    """The last record of the directory gets the name of another, in both of its places."""
    return content.replace(b"rosinality/data/10", b"rosinality/data/11")


PATCHES: dict[str, tuple[bytes, int, bytes]] = {
    "a directory of another name": (b"PK\x01\x02", 46, b"R"),
    "a local header of another name": (b"PK\x03\x04", 30, b"R"),
    "a local header of another method": (b"PK\x03\x04", 8, b"\x08"),
    "a directory that says encrypted": (b"PK\x01\x02", 8, b"\x01"),
    "a directory that says deflated": (b"PK\x01\x02", 10, b"\x08"),
    "a directory of a later version": (b"PK\x01\x02", 6, b"\xc8"),
    "a directory of another checksum": (b"PK\x01\x02", 16, b"\x00\x00"),
    "a directory of another size": (b"PK\x01\x02", 20, b"\xff\xff\xff\x7f\xff\xff\xff\x7f"),
    "a directory of another place": (b"PK\x01\x02", 42, b"\x01"),
    "an end that counts too few": (b"PK\x05\x06", 8, b"\x01\x00\x01\x00"),
    "an end that points elsewhere": (b"PK\x05\x06", 16, b"\x00\x00\x00\x00"),
    "an end that points behind the file": (b"PK\x05\x06", 16, b"\xf0\xff\xff\x7f"),
    "an end with a comment that is not there": (b"PK\x05\x06", 20, b"\x09\x00"),
}
"""In the first entry with a mark, at an offset, other bytes."""


def patched(content: bytes, mark: bytes, offset: int, new: bytes) -> bytes:
    at = content.find(mark) + offset
    return content[:at] + new + content[at + len(new) :]


def false_streams(marker: Path, whole: bytes) -> Files:
    """The row of pickles of before torch 1.6: each replaced by an attack, or by a lie."""
    parts, file = [], io.BytesIO(whole)
    start = 0
    for _ in range(5):
        StreamReader(file).load()
        parts.append(whole[start : file.tell()])
        start = file.tell()
    tail = whole[start:]
    evil = pickle.dumps(attack(marker), 2)
    files = {f"an attack for part {i}": b"".join([*parts[:i], evil, *parts[i + 1 :], tail]) for i in range(1, 5)}
    keys = StreamReader(io.BytesIO(parts[4])).load()

    def with_part(i: int, content: Any) -> bytes:
        return b"".join([*parts[:i], pickle.dumps(content, 2), *parts[i + 1 :], tail])

    files |= {
        f"{SOUND}row": b"".join(parts) + tail,
        "another version": with_part(1, 1002),
        "big-endian": with_part(2, {"protocol_version": 1001, "little_endian": False}),
        "no system": with_part(2, [1]),
        "no keys": with_part(4, []),
        "keys that are none": with_part(4, 7),
        "keys of numbers": with_part(4, [1, 2]),
        "a key too many": with_part(4, [*keys, "surplus"]),
        "a key twice": with_part(4, [*keys[:-1], keys[0]]),
        "a storage of another length": b"".join(parts) + (999).to_bytes(8, "little") + tail[8:],
        "a storage of negative length": b"".join(parts) + b"\xff" * 8 + tail[8:],
        "no numbers": b"".join(parts),
        "no g_ema": with_part(3, {"model": 1}),
        "a tensor that repeats a number": old_file({"g_ema": {"x": torch.zeros(1).expand(1000, 1000)}}),
        "a storage that claims memory": b"".join(parts[:3])
        + b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu\x8a\x06"
        + bytes(5)
        + b"\x01NtQ."
        + tail,
    }
    return {f"{name} (older format).pt": content for name, content in files.items()}


class StreamReader(pickle.Unpickler):
    """Steps over the pickles of our own sound file."""

    def find_class(self, module: str, name: str) -> Any:
        return lambda *_: None

    def persistent_load(self, pid: Any) -> Any:
        return None
