"""The source generators, validated and written to the place where the night reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from safetensors import SafetensorError, safe_open

from nada.atomic import replacing
from nada.errors import CheckpointError
from nada.generators.families import family_module
from nada.hashing import sha256_file
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.row import Row
from tasks.store.locks import refuse_during_a_night
from tasks.store.plain_data import read_json

METADATA_KEY = "nada"  # as `nada.checkpoints.canonical` has it, which imports torch


@dataclass(frozen=True)
class Pretrained:
    """A generator in the canonical format."""

    path: Path
    sha256: str
    source_name: str
    """The file that it was made from, without its folder."""

    @cached_property
    def family_module(self) -> str:
        """Module of its network.

        Raises:
            CheckpointError: it cannot be read.
        """
        try:
            with safe_open(self.path, framework="np") as file:
                family: str = json.loads(file.metadata()[METADATA_KEY])["config"]["family"]
            return family_module(family)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as err:
            raise CheckpointError(f"{self.path}: cannot be read ({err})") from err


def prepare(params: Params) -> Path:
    """`generator.weights` in the canonical format; see `prepare_file`."""
    return prepare_file(params.generator.weights, params).path


def prepare_all(params: Params, rows: Iterable[Row]) -> dict[str, Pretrained]:
    """Checkpoint -> `prepare_file`, of params.yaml and of every row that names one."""
    named = [row.generator for row in rows if row.generator is not None]
    return {weights: prepare_file(weights, params) for weights in [params.generator.weights, *dict.fromkeys(named)]}


def prepare_file(weights: str, params: Params) -> Pretrained:
    """Read a checkpoint in any format, check every tensor, and write them in the canonical one.

    `NAME.json` beside the copy tells from which bytes it was made. An up-to-date copy is kept: that costs two hashes
    and no import of torch.

    Args:
        weights: the checkpoint.
        params: whose own generator is `generator.safetensors`; others are named by their content.

    Raises:
        CheckpointError: missing, damaged, or no generator.
        OutputError: the copy cannot be written, or a night runs that may start from it.
    """
    source, source_hash, path, origin = _places(weights, params)
    if (sha256 := _current(path, origin, source_hash)) is None:
        from nada.checkpoints import read_any, save_generator

        refuse_during_a_night(path)  # whoever plans meanwhile must not change what its rows start from
        save_generator(path, read_any(source))
        sha256 = sha256_file(path)
        with replacing(origin) as partial:
            content = {"source": source.as_posix(), "source_sha256": source_hash, "sha256": sha256}
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return Pretrained(path, sha256, source.name)


def find_main(params: Params) -> Pretrained | None:
    """The copy of `generator.weights`, if it is up to date; nothing is written, as rows of a night may start from it.

    Raises:
        CheckpointError: the checkpoint is missing.
    """
    source, source_hash, path, origin = _places(params.generator.weights, params)
    sha256 = _current(path, origin, source_hash)
    return None if sha256 is None else Pretrained(path, sha256, source.name)


def makes_noise(path: Path) -> bool:
    """Whether a canonical generator adds noise to its pictures: no StyleGAN3 does, nor one with strengths of zero.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        with safe_open(path, framework="np") as file:
            strengths = [name for name in file.keys() if name.endswith("noise_strength")]  # noqa: SIM118
            return any(file.get_tensor(name).any() for name in strengths)
    except (SafetensorError, OSError) as err:
        raise CheckpointError(f"{path}: cannot be read ({err})") from err


def _places(weights: str, params: Params) -> tuple[Path, str, Path, Path]:
    """A checkpoint and its sha256, its copy, and what tells from which bytes that was made."""
    source = Path(weights)
    try:
        source_hash = sha256_file(source)
    except OSError as err:
        raise CheckpointError(f"{source}: cannot be read ({err.strerror})") from err
    is_main = weights == params.generator.weights
    path = HERE.pretrained / f"{'generator' if is_main else f'generator-{source_hash[:16]}'}.safetensors"
    return source, source_hash, path, HERE.pretrained / "origin.json" if is_main else path.with_suffix(".json")


def _current(path: Path, origin: Path, source_hash: str) -> str | None:
    """sha256 of a copy that was made from these bytes and has not changed since; None where there is none."""
    try:
        content = read_json(origin)
        sha256: str = content["sha256"]
        return sha256 if content["source_sha256"] == source_hash and sha256_file(path) == sha256 else None
    except (OSError, ValueError, TypeError, KeyError):
        return None  # absent or damaged: made again
