"""The parent of a delta: known by the bytes of its file, looked for in a few folders, never guessed.

A library of adapted generators is a folder of folders, and keeps the parents of all of them in one more:

    adapted/sketch/generator.safetensors            the delta
    adapted/_parents/<sha256>.safetensors           its parent
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nada.errors import ParentError, shown
from nada.hashing import sha256_file

PARENTS_NAME = "_parents"  # no domain: their names have no underscore
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Parent(BaseModel):
    """A whole canonical file that deltas rebuild from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    """For people: the file that it was made from."""
    sha256: Sha256
    """Of its file."""
    size_bytes: int = Field(ge=0)

    @classmethod
    def of(cls, path: Path, name: str, sha256: str | None = None) -> Parent:
        """Of a file, which is hashed unless somebody has."""
        return cls(name=name, sha256=sha256 or sha256_file(path), size_bytes=path.stat().st_size)


class Delta(BaseModel):
    """What the header of a delta says beside its architecture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parent: Parent
    sha256: Sha256
    """Of the rebuilt tensors (`nada.checkpoints.delta.digest`)."""


def find_parent(path: Path, parent: Parent, folders: Iterable[Path] = ()) -> Path:
    """The parent's file: beside the delta, in `_parents` beside the delta's folder, or in the folders given.

    Only files of the right size are hashed.

    Raises:
        ParentError: no file in these folders has the parent's bytes.
    """
    searched = [path.parent, path.parent.parent / PARENTS_NAME, *folders]
    changed: list[str] = []
    for folder in searched:
        for candidate in sorted(folder.glob("*.safetensors")):
            try:
                has_size = candidate.stat().st_size == parent.size_bytes
                if has_size and sha256_file(candidate) == parent.sha256:
                    return candidate
            except OSError:
                continue  # as good as absent
            if candidate.stem == parent.sha256:
                changed.append(f"; {candidate} bears its name and has other bytes")
    raise ParentError(
        f"{path}: holds only what changed against {shown(parent.name)}, whose canonical file "
        f"(sha256 {parent.sha256}) is in none of {', '.join(map(str, searched))}{''.join(changed)}; "
        "copy that file into one of them"
    )
