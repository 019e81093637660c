"""OpenAI's own files: TorchScript programs, whose tensors are taken and of whose code nothing is run.

A program's pickle is a tree of modules of its own classes, each with its attributes; the code lies beside, as text.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from nada.checkpoints.pickles.allowlist import Closed
from nada.checkpoints.pickles.torch_archive import is_code
from nada.checkpoints.pickles.torch_file import load_program
from nada.config import Activation
from nada.errors import CheckpointError

MAX_ENTRIES = 10_000  # attributes of all modules together; a ViT-L/14 has some 3000
MAX_CODE_BYTES = 1 << 20  # of a member, unpacked; the largest of OpenAI's are some 10 KiB
ACTIVATIONS: dict[bytes, Activation] = {b"torch.gelu(": "gelu", b"torch.sigmoid(": "quickgelu"}
"""What the code of each calls: QuickGELU is x * sigmoid(1.702 x)."""


def is_program(path: Path) -> bool:
    """Whether a file is a zip with code in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(map(is_code, archive.namelist()))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False  # the older format, or damage, of which its reader tells


def read_program(path: Path) -> dict[str, Tensor]:
    """Every tensor of a program by its dotted name.

    Raises:
        CheckpointError: damaged, unsafe, or no tree of modules.
    """
    found: dict[str, Tensor] = {}
    waiting, num_entries = [("", load_program(path))], 0
    while waiting:
        prefix, module = waiting.pop()
        attributes = module.state if isinstance(module, Closed) and isinstance(module.state, Mapping) else {}
        num_entries += len(attributes)
        if num_entries > MAX_ENTRIES:
            raise CheckpointError(f"{path}: more than {MAX_ENTRIES} attributes in its modules; the file is damaged")
        for name, value in attributes.items():
            if isinstance(value, Tensor):
                found[f"{prefix}{name}"] = value
            elif isinstance(value, Closed):
                waiting.append((f"{prefix}{name}.", value))
    return found


def activation_of_program(path: Path) -> Activation | None:
    """What its code calls between two layers; None: neither of the two, or both."""
    found = set()
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if is_code(info.filename) and info.filename.endswith(".py"):
                with archive.open(info) as member:
                    text = member.read(MAX_CODE_BYTES)
                found |= {activation for call, activation in ACTIVATIONS.items() if call in text}
    return found.pop() if len(found) == 1 else None
