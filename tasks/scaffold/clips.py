"""The CLIPs of a new project, by what somebody typed: an open_clip name, a name and a tag, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nada.config import names_a_file
from nada.errors import GuideError, closest, nearest
from nada.paths import is_file

PUBLISHED = "openai"
"""The tag of a name that comes without one."""
GUIDE, JUDGE, OTHER_JUDGE = "ViT-B-32-quickgelu", "RN50-quickgelu", "RN101-quickgelu"
BUNDLED = Path(__file__).resolve().parents[2] / "examples" / "faces" / "clip"
"""Small CLIPs of faces that a checkout of nada has, and a wheel has not."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One CLIP as params.yaml names it."""

    name: str
    weights: str
    folder: Path | None = None
    """Of the JSON with its architecture, where open_clip has none of that name."""


@dataclass(frozen=True, kw_only=True)
class Clips:
    """All of a project."""

    guides: tuple[Clip, ...]
    judge: Clip
    config_dir: str | None


def choose_clips(guides: Sequence[str], judge: str | None, root: Path, of_faces: bool) -> Clips:
    """What was typed, or published models, or the bundled ones where the generator draws faces and they are there.

    Args:
        guides: `NAME`, `NAME:TAG`, `NAME=FILE`, or a FILE with its .json beside it; none for the default. The NAME of a
            file is open_clip's, or that of a NAME.json beside it.
        judge: the same, one that does not guide; None for the default.
        root: the project's folder, to which paths are made relative.
        of_faces: whether the generator is a public one of faces.

    Raises:
        GuideError: no such model or file, or the judge guides too.
    """
    if not guides and judge is None and of_faces and all(is_file(_bundled(part)) for part in ("guide", "judge")):
        guides, judge = [str(_bundled("guide"))], str(_bundled("judge"))
    chosen = tuple(read_clip("--guide", text, root) for text in guides or [GUIDE])
    names = {clip.name for clip in chosen}
    judging = read_clip("--judge", judge or (OTHER_JUDGE if JUDGE in names else JUDGE), root)
    if judging in chosen:
        raise GuideError(f"--judge: {judging.name} guides too; a judge must not have guided the training")
    folders = {clip.folder for clip in (*chosen, judging) if clip.folder is not None}
    if len(folders) > 1:
        listed = ", ".join(sorted(map(str, folders)))
        raise GuideError(f"--guide, --judge: their .json files lie in {listed}; put them into one folder")
    return Clips(guides=chosen, judge=judging, config_dir=path_in(folders.pop(), root) if folders else None)


def read_clip(option: str, text: str, root: Path) -> Clip:
    """One CLIP.

    Raises:
        GuideError: names what is not there, and what to write.
    """
    name, sign, file = text.partition("=")
    if sign:
        path = _there(option, file)
        if "/" not in name and is_file(path.parent / f"{name}.json"):
            return Clip(name=name, weights=path_in(path, root), folder=path.parent)
        _check_name(option, name)
        return Clip(name=name, weights=path_in(path, root))
    if names_a_file(text):
        path = _there(option, text)
        if not is_file(path.with_suffix(".json")):
            raise GuideError(
                f"{option}: {text} has no {path.stem}.json beside it, which would say its architecture; write it as "
                f"NAME={text}, with an open_clip name"
            )
        return Clip(name=path.stem, weights=path_in(path, root), folder=path.parent)
    name, _, tag = text.partition(":")
    _check_name(option, name)
    return Clip(name=name, weights=tag or PUBLISHED)


def path_in(path: Path, root: Path) -> str:
    """A file as a project's params.yaml names it: relative where it lies in the project, else whole."""
    whole, folder = path.absolute(), root.absolute()  # links stay as they are named
    if ".." in (*whole.parts, *folder.parts):
        whole, folder = whole.resolve(), folder.resolve()
    return (whole.relative_to(folder) if whole.is_relative_to(folder) else whole).as_posix()


def _bundled(part: str) -> Path:
    return BUNDLED / f"nada-faces-{part}.safetensors"


def _there(option: str, text: str) -> Path:
    path = Path(text).expanduser()
    if is_file(path):
        return path
    way_out = f"; unpack it with: gzip -dk {text}.gz" if is_file(f"{path}.gz") else ""
    raise GuideError(f"{option}: {text}: no such file{way_out}")


def _check_name(option: str, name: str) -> None:
    """Refuse what open_clip does not know, by the files of its architectures: importing it takes seconds."""
    spec = find_spec("open_clip")
    folders = [] if spec is None else spec.submodule_search_locations or []
    known = [path.stem for folder in folders for path in Path(folder, "model_configs").glob("*.json")]
    if known and name not in known:
        near = ", ".join(closest(name, known, count=4, cutoff=0))
        raise GuideError(
            f"{option}: open_clip has no model {name!r}{nearest(name, known) or f'; the nearest are {near}'}"
        )
