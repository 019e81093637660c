"""The generator of a new project: a name of the registry, or a file of one's own, which is read through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nada.errors import CheckpointError, nearest
from nada.paths import is_file
from tasks.config.project import Project
from tasks.download.registry import load_registry
from tasks.scaffold.clips import path_in

PUBLIC = "mobilestylegan-ffhq-256"
"""What a project starts from where nobody says."""
MOBILE, STYLEGAN2 = "mobilestylegan", "stylegan2"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A generator to start from."""

    weights: str
    """As params.yaml names it."""
    family: str
    resolution: int
    fetch: str = ""
    """The registry's name of one that is not there yet."""
    of_faces: bool = False
    """Whether it is a public one that draws faces."""

    @property
    def in_words(self) -> str:
        """`stylegan2, 1024 px`."""
        return f"{self.family}, {self.resolution} px"


def choose_source(text: str | None, root: Path) -> Source:
    """What was typed, or the public generator.

    Args:
        text: a name of the registry, or a file in any format that nada reads.
        root: the project's folder, to which paths are made relative.

    Raises:
        CheckpointError: neither, or a file that nada cannot adapt.
        ParamsError: the registry cannot be read.
    """
    registry = load_registry(Project(root).registry)
    if text is None or text in registry:
        entry = registry[name := text or PUBLIC]
        path = Project(root).weights / entry.file
        fetch = "" if path.is_file() else name
        return Source(
            weights=path_in(path, root),
            family=entry.family,
            resolution=entry.resolution,
            fetch=fetch,
            of_faces=entry.family == MOBILE,
        )
    path = Path(text).expanduser()
    if not is_file(path):
        hint = nearest(text, registry) or "; nada weights list shows the names"
        raise CheckpointError(f"--generator: {text}: no such file, and no generator of the registry{hint}")
    from nada.checkpoints import inspect  # torch, for a file that is looked at alone

    config = inspect(path).config
    return Source(weights=path_in(path, root), family=config.family, resolution=config.resolution)
