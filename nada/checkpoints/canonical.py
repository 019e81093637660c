"""The canonical format: a safetensors file whose metadata holds the architecture as JSON.

metadata["nada"] = {"format": 1, "config": {"family": "stylegan2", "resolution": 64, ...}}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from nada.atomic import replacing
from nada.checkpoints.architecture import build
from nada.errors import CheckpointError, OutputError
from nada.families import Architecture, Network, parse_architecture

FORMAT = 1
METADATA_KEY = "nada"


def save_generator(path: Path, generator: Network) -> None:
    """Write a generator whole or not at all: beside the target first, then renamed.

    Raises:
        OutputError: the folder cannot be written.
    """
    metadata = {METADATA_KEY: json.dumps({"format": FORMAT, "config": generator.config.model_dump()}, sort_keys=True)}
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in generator.state_dict().items()}
    with replacing(path) as partial:
        try:
            save_file(tensors, partial, metadata)
        except SafetensorError as err:
            raise OutputError(f"{path}: cannot be written ({err})") from err


def read_config(path: Path) -> Architecture:
    """The architecture of a canonical file, from its header alone.

    Raises:
        CheckpointError: missing, truncated, or not a canonical generator.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a generator in nada's safetensors format")
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as err:
        raise CheckpointError(f"{path}: not a whole safetensors file ({err}); copy or fetch it again") from err
    try:
        header: Any = json.loads(metadata[METADATA_KEY])
        if header["format"] != FORMAT:
            raise CheckpointError(f"{path}: format {header['format']!r}; this version reads format {FORMAT}")
        config = header["config"]
    except (KeyError, TypeError, json.JSONDecodeError) as err:
        raise CheckpointError(f"{path}: safetensors without a nada header; expected a generator of nada's") from err
    return parse_architecture(path, config)


def load_generator(path: Path, device: str = "cpu") -> Network:
    """Read a generator, in evaluation mode, every tensor checked by name and shape.

    Raises:
        CheckpointError: missing, truncated, of another format, or tensors that do not fit the architecture.
    """
    config = read_config(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return build(path, config, tensors).to(device)
