"""Files that attack, lie or are broken, each made here: name to content. None may be read, and nothing in them run.

`attacks` are refused, every one. `flips` are whole files with some bits flipped, which may also go unnoticed.
"""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import torch

from nada.checkpoints import save_generator, write_any
from tests.checkpoint_files import (
    rosinality_state,
)
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3
from tests.hostile.common import Files, pickled, tiny_dict
from tests.hostile.headers import false_deltas, false_headers
from tests.hostile.networks import false_networks, false_tensors
from tests.hostile.openvino import false_wheels
from tests.hostile.pickles import endless_pickles, pickled_instructions, pickled_names, pickled_objects
from tests.hostile.tensorflow import false_tensorflow
from tests.hostile.torch_files import false_streams, false_zips, pickles_in_zips, zipped
from tests.openvino_files import as_wheel, networks


def attacks(marker: Path, folder: Path) -> dict[str, Files]:
    """Every file to refuse, by kind; running anything would leave a file at `marker`. `folder` is scratch."""
    whole = whole_files(folder)
    return {
        "names to call, in a pickle": pickled_names(marker),
        "objects that call when unpickled": pickled_objects(marker),
        "instructions of a pickle": pickled_instructions(),
        "memory and time, in a pickle": endless_pickles(),
        "tensors that are none, in a pickle": false_tensors(marker),
        "networks that are none, in a pickle": false_networks(),
        "networks of TensorFlow": false_tensorflow(marker),
        "pickles inside a torch zip": pickles_in_zips(marker),
        "records of a torch zip": false_zips(whole["rosinality.pt"]),
        "torch's older format": false_streams(marker, whole["rosinality-old.pt"]),
        "headers of safetensors": false_headers(whole["generator.safetensors"]),
        "deltas": false_deltas(folder),
        "wheels of OpenVINO's": false_wheels(),
        "cut off": cut_offs(whole),
        "something else": strangers(),
    }


def whole_files(folder: Path) -> Files:
    """One sound file of each format and family."""
    generator, state = tiny_generator(), rosinality_state(tiny_generator())
    write_any(folder / "stylegan2.pkl", generator)
    write_any(folder / "stylegan3.pkl", tiny_stylegan3())
    torch.save({"g_ema": state}, folder / "rosinality.pt")
    torch.save({"g_ema": state}, folder / "rosinality-old.pt", _use_new_zipfile_serialization=False)
    save_generator(folder / "generator.safetensors", generator)
    (folder / "openvino.whl").write_bytes(as_wheel(networks(tiny_mobilestylegan())))
    (folder / "nvidia.pkl").write_bytes(pickled(tiny_dict(), 3))
    names = ("stylegan2.pkl", "stylegan3.pkl", "nvidia.pkl", "rosinality.pt", "rosinality-old.pt", "openvino.whl")
    return {name: (folder / name).read_bytes() for name in (*names, "generator.safetensors")}


def flips(whole: Files, count: int) -> Files:
    """Sound files with one to four bits flipped; every other one is hit in its first 4 KiB, where the structure is."""
    files = {}
    for name, content in whole.items():
        for seed in range(count):
            rng = np.random.default_rng(seed)
            changed = np.frombuffer(content, np.uint8).copy()
            for at in rng.integers(0, min(4096, len(changed)) if seed % 2 else len(changed), size=1 + seed % 4):
                changed[at] ^= 1 << rng.integers(8)
            files[f"flip-{seed}-{name}"] = changed.tobytes()
    return files


def cut_offs(whole: Files) -> Files:
    """Sound files that end early."""
    parts = (0.0002, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999)
    return {
        f"cut-{part}-{name}": content[: int(part * len(content))] for name, content in whole.items() for part in parts
    }


def strangers() -> Files:
    """Files of other kinds under a checkpoint's name."""
    np.savez(arrays := io.BytesIO(), x=np.zeros(3))
    return {
        "empty.pkl": b"",
        "one byte.pkl": b"\x80",
        "a pointer.pkl": b"version https://git-lfs.github.com/spec/v1\noid sha256:00",
        "a page.pkl": b"<!DOCTYPE html><html>404</html>",
        "a picture.pt": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "a program.pt": b"\x7fELF" + bytes(100),
        "zeros.pt": bytes(1000),
        "a script.pkl": b"#!/bin/sh\ntouch /tmp/x\n",
        "compressed.pkl": gzip.compress(b"x" * 100, mtime=0),
        "arrays.pt": arrays.getvalue(),
        "an office document.pt": zipped([("word/document.xml", b"<x/>"), ("[Content_Types].xml", b"<x/>")]),
        "json.safetensors": b'{"format": 1}',
        "an old tar.pt": b"storages\0" + bytes(600),
    }
