"""What the makers of hostile files share."""

from __future__ import annotations

import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from nada.checkpoints.pickles.persistent import buffer
from tests.checkpoint_files import (
    as_nvidia_dict,
    nvidia_modules,
    nvidia_tree,
)
from tests.conftest import tiny_generator

Files = dict[str, bytes]
SOUND = "a sound "
"""In the name of a control: what is made the same way, without the attack, must be read."""


CALLABLES = (
    "os system", "posix system", "nt system", "os popen", "os execv", "os remove", "subprocess Popen",
    "subprocess check_output", "builtins eval", "builtins exec", "builtins getattr", "builtins __import__",
    "builtins open", "builtins compile", "__builtin__ eval", "importlib import_module", "runpy run_path",
    "shutil rmtree", "socket socket", "ctypes CDLL", "marshal loads", "pickle loads", "types FunctionType",
    "functools partial", "operator attrgetter", "copyreg _reconstructor", "webbrowser open", "pty spawn",
    "torch load", "torch.hub load", "torch.serialization load", "torch._utils _rebuild_sparse_tensor",
    "torch.jit load", "torch.nn.modules.module Module", "numpy load", "numpy.testing._private.utils runstring",
    "collections OrderedDict.fromkeys", "torch_utils.persistence import_hook", "nada.atomic replacing",
    "dnnlib.util call_func_by_name",
)  # fmt: skip


def pickled(content: Any, protocol: int) -> bytes:
    """The content as NVIDIA's repositories would pickle it."""
    with nvidia_modules():
        return pickle.dumps(content, protocol)


def tiny_dict(**more: Any) -> dict[str, Any]:
    return {**as_nvidia_dict(nvidia_tree(tiny_generator().state_dict())), **more}


def short(text: str) -> bytes:
    """The instruction that pushes a text of up to 255 bytes."""
    return b"\x8c" + bytes([len(text.encode())]) + text.encode()


class Reduced:
    """Unpickled as whatever `__reduce__` returned."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __reduce__(self) -> Any:
        return self.parts


def attack(marker: Path) -> Reduced:
    return Reduced(os.system, (f"touch {marker}",))


def changed(module: str = "", **attributes: Any) -> dict[str, Any]:
    """The tiny network with other attributes in one of its modules."""
    tree = part = nvidia_tree(tiny_generator().state_dict())
    for name in module.split(".") if module else []:
        part = part.state["_modules"][name]
    part.state.update(attributes)
    return as_nvidia_dict(tree)


def storage_file(count: int) -> bytes:
    """The torch file that a plain pickle nests for a tensor of so many zeros."""
    content: bytes = buffer(torch.zeros(count)).args[0].args[0]
    return content


def old_file(content: Any) -> bytes:
    torch.save(content, file := io.BytesIO(), _use_new_zipfile_serialization=False)
    return file.getvalue()


def text(content: str) -> bytes:
    """The instruction that pushes a text."""
    return b"X" + struct.pack("<I", len(content)) + content.encode()


STAND_IN = b"ccollections\nOrderedDict\n"
MODULE = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
META = b"}(X\x04\x00\x00\x00typeX\x05\x00\x00\x00class"
