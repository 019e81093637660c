"""What goes into results, by content: files by sha256, code by what it computes. Imports no torch.

Where files lie decides nothing, what they hold does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from nada.config import WEB, ClipConfig, GuideConfig, JudgeConfig, Section, names_a_file
from nada.errors import CheckpointError, ImageError, NadaError, shown
from nada.hashing import sha256_file
from nada.methods.base import Method
from nada.paths import files_below, is_file
from nada.picture_sets import EARLIER, MAX_FILES, find_pictures
from tasks.download.judge_weights import Published, network_files, wanted
from tasks.keys.code import code_hash

MAKING_ENTRIES = ("nada.methods.models",)
"""Code of making, beside a method's own and that of the generator's family."""
STYLE_ENTRIES = ("nada.methods.picture_goal", "nada.picture_files")
"""Further code of rows that pictures lead."""
EVALUATION_ENTRIES = (
    "nada.judge.samples", "nada.judge.scores", "nada.judge.retrieval", "nada.clip.loading", "nada.picture_files"
)  # fmt: skip
"""Code of evaluating, beside that of the generator's family."""
OPEN_CLIP = "open_clip_torch"
EVER_READ = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""Reference pictures that every version read: sets of these alone keep the hash by which finished rows were judged."""


def making_code(method: Method[Any, Any], family_module: str, by_pictures: bool = False) -> str:
    """Hash of all code that decides what a method makes of a generator."""
    return code_hash([method.entry, *MAKING_ENTRIES, family_module, *(STYLE_ENTRIES if by_pictures else ())])


def preparing_code(method: Method[Any, Any], family_module: str) -> str:
    """Hash of all code that decides what a method prepares for a generator; it has something to prepare."""
    assert method.preparing_entry is not None
    return code_hash([method.preparing_entry, *MAKING_ENTRIES, family_module])


def evaluation_code(family_module: str | None = None, by_pictures: bool = False) -> str:
    """Hash of all code that decides how pictures are judged; of whatever family without one."""
    entries = [*EVALUATION_ENTRIES, *(STYLE_ENTRIES if by_pictures else ())]
    return code_hash([*entries, *([family_module] if family_module else [])])


@cache
def open_clip_version() -> str:
    """Of the library that brings templates, architectures and models."""
    return metadata.version(OPEN_CLIP)


def guide_hashes(guide: GuideConfig) -> dict[str, str]:
    """Place in params.yaml -> identity of that network: sha256 of weights and JSON config, or its pretrained tag.

    Raises:
        CheckpointError: a weights file cannot be read.
    """
    return {f"guide.models.{index}": clip_hash(clip, guide.config_dir) for index, clip in enumerate(guide.models)}


def judge_hashes(judge: JudgeConfig, config_dir: str | None) -> dict[str, str]:
    """The same of the judge's networks; those that it does without have none.

    Raises:
        CheckpointError: a weights file cannot be read.
    """
    hashes = {"judge.model": clip_hash(judge.model, config_dir)}
    for place, setting, published in wanted(judge):
        hashes[place] = _published_hash(setting, published)
    return hashes


def clip_hash(clip: ClipConfig, config_dir: str | None) -> str:
    """Identity of an open_clip model: its name, JSON config, and weights by sha256 or tag.

    Raises:
        CheckpointError: a file cannot be read.
    """
    architecture = None if config_dir is None else Path(config_dir) / f"{clip.name}.json"
    try:
        parts = [clip.name]
        if architecture is not None and architecture.is_file():
            parts.append(sha256_file(architecture))
        parts.append(sha256_file(Path(clip.weights)) if names_a_file(clip.weights) else f"tag:{clip.weights}")
    except OSError as err:
        raise CheckpointError(f"{err.filename}: cannot be read ({err.strerror})") from err
    return hashed(parts)


def reference_hash(reference_images: str) -> str:
    """sha256 of a zip, or over the names and contents of a folder's files; and which of them are read as pictures.

    Raises:
        ImageError: it is no folder or zip of pictures.
        CheckpointError: a file in it cannot be read.
    """
    path = Path(reference_images)
    found = find_pictures(path)
    try:
        if is_zip := path.is_file():
            content = sha256_file(path)
        else:
            files = filter(is_file, files_below(path, MAX_FILES, ImageError))
            content = hashed(sorted((file.relative_to(path).as_posix(), sha256_file(file)) for file in files))
    except OSError as err:
        raise CheckpointError(f"{err.filename}: cannot be read ({err.strerror})") from err
    is_as_ever = all(name.lower().endswith(EVER_READ) and (is_zip or "/" not in name) for name in found.names)
    is_as_ever &= EARLIER not in dict(found.left_out).values()
    return content if is_as_ever else hashed([content, found.names])


def file_hashes(method: Method[Any, Any], config: Section, base_sha256: str) -> dict[str, str]:
    """Option -> sha256 of the file that a row's settings name there, once the method has checked it.

    Args:
        method: of the row.
        config: its settings, resolved.
        base_sha256: of the pretrained generator behind it.

    Raises:
        InputError: a file cannot be read, or not be used with this generator.
    """
    hashes = {}
    for option, file in method.files(config).items():
        try:
            hashes[option] = sha256_file(Path(file))
        except OSError as err:
            place = f"{method.name}.{option}"
            raise CheckpointError(f"{place} is {shown(file)}, which cannot be read ({err.strerror})") from err
    method.check_files(config, base_sha256)
    return hashes


def hashed(content: Any) -> str:
    """Hexadecimal sha256 of plain data, however it is laid out.

    Raises:
        NadaError: a number in it is not finite.
    """
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError as err:
        raise NadaError(f"a value of the row's key is not a finite number ({err})") from err
    return hashlib.sha256(text.encode()).hexdigest()


def _published_hash(setting: str, published: Sequence[Published]) -> str:
    """Of a network's files: as published where they are fetched, so that a copy of them has the same."""
    if setting == WEB:
        return _joined_hash([one.sha256 for one in published])
    try:
        return _joined_hash([sha256_file(path) for path in network_files(setting, *published)])
    except OSError as err:
        raise CheckpointError(f"{err.filename}: cannot be read ({err.strerror})") from err


def _joined_hash(sha256s: Sequence[str]) -> str:
    return sha256s[0] if len(sha256s) == 1 else hashed(list(sha256s))
