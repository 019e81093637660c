"""The source generator, validated and written to the place where the night reads it."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from nada.atomic import replacing
from nada.errors import CheckpointError
from nada.hashing import sha256_file
from tasks.config.model import Params
from tasks.config.project import HERE

PRETRAINED_PATH = HERE.pretrained / "generator.safetensors"
ORIGIN_PATH = HERE.pretrained / "origin.json"


def prepare(params: Params) -> Path:
    """Read `generator.weights` in any format, check every tensor, and write them in the canonical one.

    origin.json tells from which bytes the copy was made. An up-to-date copy is kept: that costs two hashes and no
    import of torch.

    Returns:
        PRETRAINED_PATH.

    Raises:
        CheckpointError: missing, damaged, or no generator.
        OutputError: the copy cannot be written.
    """
    source = Path(params.generator.weights)
    try:
        source_hash = sha256_file(source)
    except OSError as err:
        raise CheckpointError(f"{source}: cannot be read ({err.strerror})") from err
    if not _is_current(source_hash):
        from nada.checkpoints import read_any, save_generator

        save_generator(PRETRAINED_PATH, read_any(source))
        _write_origin(source, source_hash)
    return PRETRAINED_PATH


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


def _is_current(source_hash: str) -> bool:
    try:
        origin = json.loads(ORIGIN_PATH.read_text(encoding="utf-8"))
        return bool(origin["source_sha256"] == source_hash and origin["sha256"] == sha256_file(PRETRAINED_PATH))
    except (OSError, ValueError, TypeError, KeyError):
        return False  # absent or damaged: made again


def _write_origin(source: Path, source_hash: str) -> None:
    origin = {"source": source.as_posix(), "source_sha256": source_hash, "sha256": sha256_file(PRETRAINED_PATH)}
    with replacing(ORIGIN_PATH) as partial:
        partial.write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")
