"""The content key of a row: equal keys mean equal results, so a finished row need not be done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nada
from nada.config import WEB, ClipConfig, Section, names_a_file
from nada.errors import CheckpointError, NadaError
from nada.hashing import sha256_file
from nada.methods.adapt.config import AdaptConfig
from tasks.config.model import Params
from tasks.download.judge_weights import Published, network_files, wanted

if TYPE_CHECKING:
    from tasks.config.prompts import Row

NOT_THE_METHOD = (
    "checkpoints",
    "atomic.py",
    "errors.py",
    "hashing.py",
)
"""What of `nada/` decides no result: the weights that it reads are in the key by their bytes."""
LEFT_OUT = ("config_dir", "weights", "batch_size", "inception", "lpips")
"""Of the sections in the key: where files lie, whose contents are in the key already, and what decides no result."""
KEY_FORMAT = 1  # raise it when results change for a reason that the key does not see


def row_key(
    row: Row,
    adapt: AdaptConfig,
    params: Params,
    generator_sha256: str,
    clip_sha256s: Mapping[str, str],
    references_sha256: str | None,
) -> str:
    """sha256 over everything that decides the row's result, and nothing else.

    In: prompts, the resolved adapt section, seed, guide, judge, samples, whether weights are rounded, hashes of
    weights and of reference images, the method's source. Out: the line number, the recipe's name, device, workers,
    time limits, paths, how exact weights are stored, and the other rows: a new row must not retrain them, so
    retrieval is judged among the prompts of its own night.

    Args:
        row: a checked row.
        adapt: the row's resolved section (`tasks.row.job.resolve_adapt`).
        params: all of params.yaml.
        generator_sha256: of the canonical pretrained generator.
        clip_sha256s: `clip_hashes(params)`.
        references_sha256: `reference_hash` of the row's true images, if it has any.
    """
    content = {
        "format": KEY_FORMAT,
        "row": {"domain": row.domain, "source": row.source, "target": row.target},
        "seed": params.night.seed if row.seed is None else row.seed,
        "adapt": _dump(adapt),
        "guide": _networks(params.guide),
        "judge": _networks(params.judge),
        "samples": _dump(params.samples),
        "rounded": params.night.storage == "fp16",
        "generator": generator_sha256,
        "clips": dict(clip_sha256s),
        "references": references_sha256,
        "method": method_hash(),
    }
    return hashlib.sha256(_canonical(content)).hexdigest()


def clip_hashes(params: Params) -> dict[str, str]:
    """Place in params.yaml -> identity of that network: sha256 of weights and JSON config, or its pretrained tag.

    Networks that the judge does without have none.

    Raises:
        CheckpointError: a weights file cannot be read.
    """
    clips: dict[str, ClipConfig] = {f"guide.models.{index}": clip for index, clip in enumerate(params.guide.models)}
    clips["judge.model"] = params.judge.model
    hashes = {place: _clip_hash(clip, params.guide.config_dir) for place, clip in clips.items()}
    for place, setting, published in wanted(params.judge):
        hashes[place] = _published_hash(setting, published)
    return hashes


def reference_hash(reference_images: str) -> str:
    """sha256 of a zip, or over the names and contents of a folder's files.

    Raises:
        CheckpointError: it cannot be read.
    """
    path = Path(reference_images)
    try:
        if path.is_file():
            return sha256_file(path)
        return _folder_hash(path, "*")
    except OSError as err:
        raise CheckpointError(f"{path}: cannot be read ({err.strerror})") from err


@cache
def method_hash() -> str:
    """sha256 over the sources of `nada/` that can change a row: an edit of the method makes every row new.

    An edit of what reads, writes and hashes files makes none new.
    """
    return _folder_hash(Path(nada.__file__).parent, "*.py", NOT_THE_METHOD)


def _clip_hash(clip: ClipConfig, config_dir: str | None) -> str:
    architecture = None if config_dir is None else Path(config_dir) / f"{clip.name}.json"
    try:
        parts = [clip.name]
        if architecture is not None and architecture.is_file():
            parts.append(sha256_file(architecture))
        parts.append(sha256_file(Path(clip.weights)) if names_a_file(clip.weights) else f"tag:{clip.weights}")
    except OSError as err:
        raise CheckpointError(f"{err.filename}: cannot be read ({err.strerror})") from err
    return hashlib.sha256(_canonical(parts)).hexdigest()


def _published_hash(setting: str, published: Sequence[Published]) -> str:
    """Of a network's files: as published where they are fetched, so that a copy of them has the same."""
    if setting == WEB:
        return _joined_hash([one.sha256 for one in published])
    try:
        return _joined_hash([sha256_file(path) for path in network_files(setting, *published)])
    except OSError as err:
        raise CheckpointError(f"{err.filename}: cannot be read ({err.strerror})") from err


def _joined_hash(sha256s: Sequence[str]) -> str:
    return sha256s[0] if len(sha256s) == 1 else hashlib.sha256(_canonical(sha256s)).hexdigest()


def _folder_hash(folder: Path, pattern: str, without: Collection[str] = ()) -> str:
    """sha256 over names and contents of a folder's files, `without` some entries of its top level."""
    found = [path.relative_to(folder) for path in folder.rglob(pattern) if path.is_file()]
    names = sorted(path.as_posix() for path in found if path.parts[0] not in without)
    return hashlib.sha256(_canonical([(name, sha256_file(folder / name)) for name in names])).hexdigest()


@cache
def _dump(section: Section) -> dict[str, Any]:
    """A section as it stands; thousands of rows ask for the same few."""
    return section.model_dump()


@cache
def _networks(section: Section) -> dict[str, Any]:
    """A section that names networks, without where they lie."""
    return _without_paths(section.model_dump())


def _without_paths(section: dict[str, Any]) -> dict[str, Any]:
    """A section without where its files lie; their contents are in the key already."""
    kept = {name: value for name, value in section.items() if name not in LEFT_OUT}
    for name, value in kept.items():
        if isinstance(value, dict):
            kept[name] = _without_paths(value)
        elif isinstance(value, list | tuple):
            kept[name] = [_without_paths(item) if isinstance(item, dict) else item for item in value]
    return kept


def _canonical(content: Any) -> bytes:
    try:
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as err:
        raise NadaError(f"a value of the row's key is not a finite number ({err})") from err
