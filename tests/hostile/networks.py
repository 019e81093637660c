"""Pickles of tensors and networks that are none."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from nada.checkpoints.pickles.torch_file import STREAM_MAGIC
from tests.checkpoint_files import (
    Persistent,
    as_nvidia_dict,
    nvidia_tree,
)
from tests.conftest import tiny_generator
from tests.hostile.common import (
    META,
    MODULE,
    SOUND,
    Files,
    Reduced,
    attack,
    changed,
    old_file,
    pickled,
    storage_file,
    text,
    tiny_dict,
)

SIZES: dict[str, tuple[Any, Any, Any]] = {
    "too long": (0, (7,), (1,)),
    "begins too late": (1, (6,), (1,)),
    "strides too far": (0, (2, 3), (6, 1)),
    "repeats one number": (0, (1 << 40,), (0,)),
    "repeats a few": (0, (7,), (0,)),
    "negative offset": (-1, (2,), (1,)),
    "negative size": (0, (-2,), (1,)),
    "negative stride": (0, (2,), (-1,)),
    "giant size": (0, (1 << 70,), (1,)),
    "giant size beside zero": (0, (0, 1 << 70), (1, 1)),
    "giant offset": (1 << 70, (1,), (1,)),
    "giant stride": (0, (1,), (1 << 62,)),
    "fewer strides than sizes": (0, (2, 3), (1,)),
    "sizes in a text": (0, "22", "11"),
    "a fraction": (0.5, (2,), (1,)),
    "a truth value": (0, (True,), (1,)),
    "nested sizes": (0, ((2,),), (1,)),
    "no sizes": (0, None, None),
    "17 dimensions": (0, (1,) * 17, (1,) * 17),
    "100,000 dimensions": (0, (1,) * 100_000, (1,) * 100_000),
}


def false_tensors(marker: Path) -> Files:
    """Tensors that claim what their storage does not hold, and storages that are none."""
    sound = Reduced(torch.storage._load_from_bytes, (storage_file(6),))
    tensors = {
        name: Reduced(torch._utils._rebuild_tensor_v2, (sound, *numbers, False, OrderedDict()))
        for name, numbers in SIZES.items()
    }
    torch.save({"x": attack(marker)}, new := io.BytesIO())
    nested = {
        "a torch zip for a storage": new.getvalue(),
        "an attack for a storage": old_file(attack(marker)),
        "a tensor for a storage": old_file(torch.zeros(3)),
        "a dict for a storage": old_file({"x": 1}),
        "nothing for a storage": b"",
        "a pickle for a storage": pickle.dumps(print),
        "a torn storage": STREAM_MAGIC,
        "a storage cut off": storage_file(6)[:-4],
    }
    tensors |= {name: Reduced(torch.storage._load_from_bytes, (content,)) for name, content in nested.items()}
    tensors["a text for a storage"] = Reduced(torch.storage._load_from_bytes, ("text",))
    tensors["a number for a storage"] = Reduced(torch._utils._rebuild_tensor_v2, (6, 0, (2,), (1,), False, {}))
    tensors[f"{SOUND}tensor"] = Reduced(
        torch._utils._rebuild_tensor_v2, (sound, 1, (2, 2), (2, 1), False, OrderedDict())
    )
    return {f"{name}.pkl": pickled(tiny_dict(extra=tensor), 3) for name, tensor in tensors.items()}


def in_itself(name: str) -> bytes:
    """A network that is its own part; it takes a hand to write one."""
    make = META + text("class_name") + text("G") + text("state") + b"}(" + text("_modules") + b"}q\x02uu\x85Rq\x03"
    return b"\x80\x04" + MODULE + make + b"h\x02" + text(name) + b"h\x03s00}" + text("G_ema") + b"h\x03s."


def endless_networks() -> Iterator[tuple[str, Any]]:
    """Networks of more modules or tensors than their files have."""
    content = changed()
    modules = content["G_ema"].state["_modules"]["synthesis"].state["_modules"]
    modules["b4"].state["_modules"] |= {f"m{i}": content["G_ema"].state["_modules"]["mapping"] for i in range(40)}
    content["G_ema"].state["_modules"] |= {f"s{i}": content["G_ema"].state["_modules"]["synthesis"] for i in range(40)}
    yield "a network 40 times in itself", content
    content = changed()
    table = {f"t{i}": torch.zeros(1) for i in range(40)}
    modules = {f"m{i}": Persistent("Layer", _parameters=table) for i in range(900)}
    content["G_ema"].state["_modules"]["synthesis"].state["_modules"] |= modules
    yield "one table in 900 modules", content
    chain = Persistent("End")
    for _ in range(30):  # much deeper ones Python's own pickler cannot write
        chain = Persistent("Link", _modules=OrderedDict(next=chain))
    yield "a chain of modules", tiny_dict(G_ema=chain)


def false_networks() -> Files:
    """Sound pickles of something that is no generator, or not one that is supported."""
    giant = 1 << 200
    contents: dict[str, Any] = {
        "a list": [1, 2],
        "nothing": None,
        "a text": "G_ema",
        "a dict of numbers": {"G": 1, "D": 2},
        "G_ema a list": tiny_dict(G_ema=[]),
        "G_ema a tensor": tiny_dict(G_ema=torch.zeros(3)),
        "G_ema a dict": tiny_dict(G_ema={"state": 1}),
        "G_ema a discriminator": tiny_dict(G_ema=Persistent("D")),
        "classes": changed(c_dim=10),
        "classes without end": changed(c_dim=giant),
        "classes in a text": changed(c_dim="\n"),
        "grey": changed(img_channels=1),
        "another architecture": changed("synthesis.b8", architecture="resnet"),
        "an architecture of control codes": changed("synthesis.b8", architecture="\x1b[2J\n\n"),
        "an endless architecture": changed("synthesis.b8", architecture="x" * 1_000_000),
        "another activation": changed("mapping.fc1", activation="relu"),
        "another rate": changed("mapping.fc0", bias_gain=1.0),
        "a rate in a text": changed("mapping.fc0", bias_gain="0.01"),
        "two clamps": changed("synthesis.b4.conv1", conv_clamp=9),
        "a clamp in a text": changed("synthesis.b4.conv1", conv_clamp="9"),
        "no modules": changed("synthesis", _modules={}),
        "modules in a list": changed("synthesis", _modules=[1]),
        "no parameters": changed("synthesis.b8.conv1", _parameters={}),
        "parameters in a list": changed("mapping.fc0", _parameters=[1]),
        "a parameter that is none": changed("mapping.fc0", _parameters={"weight": 1, "bias": 2}),
        "a tensor too many": changed("mapping.fc0", _buffers={"surplus": torch.zeros(3)}),
        "whole numbers": changed(
            "mapping.fc0", _parameters={"weight": torch.zeros(8, 8, dtype=torch.int64), "bias": torch.zeros(8)}
        ),
        "no numbers": changed(
            "mapping.fc0", _parameters={"weight": torch.full((8, 8), torch.nan), "bias": torch.zeros(8)}
        ),
        "infinite numbers": changed(
            "mapping.fc0", _parameters={"weight": torch.full((8, 8), torch.inf), "bias": torch.zeros(8)}
        ),
        "another shape": changed("mapping.fc0", _parameters={"weight": torch.zeros(3, 8), "bias": torch.zeros(8)}),
        "another filter": changed("synthesis.b8", _buffers={"resample_filter": torch.eye(4)}),
    }
    contents[f"{SOUND}network with a clamp"] = as_nvidia_dict(nvidia_tree(tiny_generator().state_dict(), conv_clamp=9))
    for clamp in (giant, torch.nan, torch.inf, -1.0, 0):
        state = tiny_generator().state_dict()
        contents[f"a clamp of {clamp}"] = as_nvidia_dict(nvidia_tree(state, conv_clamp=clamp))
    contents |= dict(endless_networks())
    files = {
        SOUND: pickled(changed(), 4),
        "a network in itself": in_itself("m"),
        "a network in itself under a long name": in_itself("m" * (1 << 20)),
    }
    files |= {name: pickled(content, 4) for name, content in contents.items()}
    return {f"{name}.pkl": content for name, content in files.items()}
