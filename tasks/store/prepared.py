"""Where methods keep what they compute once for a generator and a guide, before the rows that need it.

`weights/prepared/<key>.safetensors`, which DVC versions: a clone pulls what cost hours. Parts of what is not whole yet
lie in `weights/.unfinished/prepared/<key>`. Whether a file is whole its method finds out when it reads it. Imports no
torch.
"""

from __future__ import annotations

from nada.methods.base import Place
from tasks.config.project import HERE

PARTS = "prepared"


def place(key: str) -> Place:
    """Of a key (`tasks.keys.row_keys.KeyMaker.prepared`)."""
    return Place(HERE.prepared / f"{key}.safetensors", HERE.unfinished / PARTS / key)


def is_there(key: str) -> bool:
    """Whether it was computed."""
    return place(key).path.is_file()
