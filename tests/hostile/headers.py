"""Safetensors whose headers lie, and differences that fit no parent."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save

from nada.checkpoints import save_generator
from nada.checkpoints.canonical import save_delta
from tests.conftest import tiny_generator
from tests.hostile.common import SOUND, Files


def with_header(header: Any, data: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def false_headers(whole: bytes) -> Files:
    size = int.from_bytes(whole[:8], "little")
    header, data = json.loads(whole[8 : 8 + size]), whole[8 + size :]
    names = [name for name in header if name != "__metadata__"]
    nada = json.loads(header["__metadata__"]["nada"])
    text = json.dumps(header).encode()

    def tensor(**fields: Any) -> bytes:
        return with_header({**header, names[0]: {**header[names[0]], **fields}}, data)

    def metadata(content: Any) -> bytes:
        return with_header({**header, "__metadata__": content}, data)

    def said(content: Any) -> bytes:
        return metadata({"nada": content if isinstance(content, str) else json.dumps(content)})

    def config(**fields: Any) -> bytes:
        return said({**nada, "config": {**nada["config"], **fields}})

    begin, end = header[names[0]]["data_offsets"]
    entry = json.dumps(header[names[0]])
    files = {
        "a length of zero": with_header(b"", data, 0),
        "a giant length": with_header(header, data, 1 << 62),
        "a length of 100 MB": with_header(header, data, 100_000_000),
        "a length too short": with_header(header, data, size - 1),
        "a length too long": with_header(header, data, size + 1),
        "no data": with_header(header, b""),
        "data missing": with_header(header, data[:-1]),
        "data left over": with_header(header, data + b"x"),
        "no JSON": with_header(b"{" + b"x" * 100, data),
        "a list": with_header([header], data),
        "text that is no UTF-8": with_header(b'{"\xff": 1}', data),
        "endless brackets": with_header(b'{"a":' + b"[" * 100_000, b""),
        "endless brackets in metadata": said("[" * 100_000),
        "a giant number in metadata": said("9" * 100_000),
        "overlapping tensors": tensor(data_offsets=[begin + 4, end + 4]),
        "reversed offsets": tensor(data_offsets=[end, begin]),
        "negative offsets": tensor(data_offsets=[-4, end]),
        "giant offsets": tensor(data_offsets=[1 << 62, 1 << 63]),
        "offsets in a text": tensor(data_offsets="0"),
        "three offsets": tensor(data_offsets=[begin, end, end]),
        "a negative shape": tensor(shape=[-1]),
        "a giant shape": tensor(shape=[1 << 62, 1 << 62]),
        "a shape of fractions": tensor(shape=[1.5]),
        "another shape": tensor(shape=[1, *header[names[0]]["shape"]]),
        "100,000 dimensions": tensor(shape=[*header[names[0]]["shape"], *[1] * 100_000]),
        "an unknown type": tensor(dtype="X99"),
        "a type of control codes": tensor(dtype="\x1b[2J\n"),
        "whole numbers": tensor(dtype="I32"),
        "truth values": tensor(dtype="BOOL", shape=[end - begin]),
        "bytes": tensor(dtype="U8", shape=[end - begin]),
        "fp16_tensors": tensor(dtype="F16"),
        "no type": with_header({**header, names[0]: {"shape": [1], "data_offsets": [0, 4]}}, data),
        "a tensor missing": with_header(
            {n: v for n, v in header.items() if n != names[-1]}, data[: header[names[-1]]["data_offsets"][0]]
        ),
        "a tensor of another name": with_header({(n if n != names[0] else "x\n"): v for n, v in header.items()}, data),
        "a tensor twice": with_header(text[:-1] + f', "{names[0]}": {entry}}}'.encode(), data),
        "metadata twice": with_header(text[:-1] + b', "__metadata__": {}}', data),
        "a text of the metadata twice": with_header(text.replace(b'{"nada":', b'{"nada": "{}", "nada":'), data),
        "no metadata": with_header({n: v for n, v in header.items() if n != "__metadata__"}, data),
        "metadata of numbers": metadata({"nada": 1}),
        "metadata in a list": metadata(["nada"]),
        "metadata of another program": metadata({"format": "pt"}),
        "metadata that is no JSON": said("{"),
        "metadata that is a list": said([1]),
        "metadata that is a text": said('"x"'),
        "metadata that is null": said("null"),
        "a config twice": said(json.dumps(nada)[:-1] + ', "config": {}}'),
        "another format": said({**nada, "format": 2}),
        "a format of control codes": said({**nada, "format": "\x1b[2J\n"}),
        "no config": said({"format": 1}),
        "a config that is a list": said({**nada, "config": [1]}),
        "an unknown family": config(family="stylegan9"),
        "a family of control codes": config(family="\x1b[2J\n"),
        "another family": config(family="stylegan3"),
        "a field too many": config(evil=1),
        "a field of control codes": config(**{"\x1b[2J\n": 1}),
        "a resolution of text": config(resolution="x"),
        "a resolution that is no power of two": config(resolution=17),
        "a giant resolution": config(resolution=1 << 40),
        "another resolution": config(resolution=1024),
        "a giant z_dim": config(z_dim=1 << 62),
        "a z_dim of zero": config(z_dim=0),
        "a giant channel_max": config(channel_max=1 << 30),
        "a clamp that is no number": config(conv_clamp=float("nan")),
        "a clamp without end": config(conv_clamp=float("inf")),
        "a negative clamp": config(conv_clamp=-1),
        "1000 mapping layers": config(mapping_layers=1000),
    }
    files[f"{SOUND}header"] = with_header(header, data)
    for name, value in (("no number", np.nan), ("infinite", np.inf)):
        first = np.frombuffer(data, "<f4").copy()
        first[0] = value
        files[f"a weight that is {name}"] = with_header(header, first.tobytes())
    return {f"{name}.safetensors": content for name, content in files.items()}


def false_deltas(folder: Path) -> Files:
    """Differences to a parent that is there, and does not fit, or is lied about."""
    parent, child = folder / "parent.safetensors", tiny_generator()
    save_generator(parent, child)
    child.synthesis.b4.const.add_(0.1)
    save_delta(folder / "delta.safetensors", child, parent, "parent")
    tensors = load_file(folder / "delta.safetensors")
    content = (folder / "delta.safetensors").read_bytes()
    said = json.loads(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]["nada"])
    name = next(iter(tensors))

    def delta(streams: dict[str, torch.Tensor] | None = None, **fields: Any) -> bytes:
        header = {**said, "delta": {**said["delta"], **fields}}
        return save(tensors if streams is None else streams, {"nada": json.dumps(header)})

    def parent_said(**fields: Any) -> bytes:
        return delta(parent={**said["delta"]["parent"], **fields})

    bomb = torch.frombuffer(bytearray(gzip.zlib.compress(bytes(50 << 20))), dtype=torch.uint8)  # type: ignore[attr-defined]
    files = {
        f"{SOUND}difference": delta(),
        "another digest": delta(sha256="0" * 64),
        "a digest that is none": delta(sha256="x"),
        "a digest of control codes": delta(sha256="\x1b[2J\n"),
        "a field too many": delta(path="../../etc/passwd"),
        "a parent that is not there": parent_said(sha256="0" * 64),
        "a parent of another size": parent_said(size_bytes=7),
        "a parent with a path": parent_said(path="/etc/passwd"),
        "a parent of negative size": parent_said(size_bytes=-1),
        "a parent's digest that is a path": parent_said(sha256="../" * 21 + "x"),
        "a parent that is a text": delta(parent="x"),
        "a stream of nothing": delta({name: torch.zeros(0, dtype=torch.uint8)}),
        "a bomb for a stream": delta({name: bomb}),
        "a stream that is no stream": delta({name: torch.zeros(99, dtype=torch.uint8)}),
        "a stream of floats": delta({name: torch.zeros(9)}),
        "a stream of two dimensions": delta({name: tensors[name][None]}),
        "a stream cut off": delta({name: tensors[name][:-9].clone()}),
        "no stream": delta({}),
        "a stream for no tensor": delta({**tensors, "surplus\n": tensors[name].clone()}),
        "a delta that is a list": save(tensors, {"nada": json.dumps({**said, "delta": [1]})}),
        "a delta that says it is whole": save(
            tensors, {"nada": json.dumps({k: v for k, v in said.items() if k != "delta"})}
        ),
    }
    return {f"{name} (delta).safetensors": content for name, content in files.items()}
