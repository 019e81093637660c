"""The file of a mapper: its networks as float32 tensors, and in the header what they were made for.

metadata["nada"] = {"format": 1, "mapper": {"w_dim": 512, "num_ws": 18, "groups": ["coarse", "medium"], "scale": 0.1}}

Tensors are named `coarse.fc0.weight` and so on; a row that kept nothing has no groups and no tensors. At 512 wide a
group takes 4.2 MB, at 128 wide 264 kB.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nada.atomic import replacing
from nada.checkpoints.architecture import check_tensors
from nada.checkpoints.safetensors_header import parse_json, read_metadata
from nada.errors import CheckpointError, one_line, shown
from nada.generators.domain import Domain
from nada.methods.mapper.network import LatentMapper, groups_there

MAPPER_NAME = "mapper.safetensors"
METADATA_KEY = "nada"
FORMAT = 1


class MapperShape(BaseModel):
    """What a mapper was made for."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    w_dim: int = Field(ge=1, le=4096)
    num_ws: int = Field(ge=1, le=256)
    groups: list[Literal["coarse", "medium", "fine"]] = Field(max_length=3)
    scale: Annotated[float, Field(gt=0)]


def save(path: Path, mapper: LatentMapper) -> None:
    """Write a mapper, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    shape = {name: getattr(mapper, name) for name in MapperShape.model_fields}
    header = {"format": FORMAT, "mapper": shape}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in mapper.state_dict().items()}
    with replacing(path) as partial:
        save_file(tensors, partial, {METADATA_KEY: json.dumps(header, sort_keys=True)})


def load(path: Path, source: Domain) -> LatentMapper:
    """Read a mapper for a source, on its device and without gradients.

    Raises:
        CheckpointError: missing, damaged, or made for latents of another width or number.
    """
    shape = _read_shape(path)
    ours, theirs = (source.num_ws, source.w_dim), (shape.num_ws, shape.w_dim)
    if ours != theirs:
        wants = f"{theirs[0]} rows of {theirs[1]}; the generator's have {ours[0]} of {ours[1]}"
        raise CheckpointError(f"{path}: a mapper of latents of {wants}; it moves those of the generator it was made on")
    with torch.device("meta"):  # shapes alone: no memory until the tensors are known to fit
        mapper = LatentMapper(shape.w_dim, shape.num_ws, groups_there(shape.groups, shape.num_ws), shape.scale)
    tensors = load_file(path)
    check_tensors(path, tensors)
    _check(path, tensors, mapper.state_dict())
    mapper.load_state_dict(tensors, assign=True)
    return mapper.to(next(iter(source.parameters())).device).eval().requires_grad_(False)


def _read_shape(path: Path) -> MapperShape:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a latent mapper")
    metadata = read_metadata(path)
    try:
        header: Any = parse_json(metadata[METADATA_KEY])
        if header["format"] != FORMAT:
            raise CheckpointError(f"{path}: format {shown(header['format'])}; this version reads format {FORMAT}")
        return MapperShape.model_validate(header["mapper"])
    except ValidationError as err:
        first = err.errors()[0]
        where = one_line(".".join(map(str, first["loc"])))
        raise CheckpointError(f"{path}: {where}: {one_line(first['msg'])} ({shown(first['input'])})") from err
    except (KeyError, TypeError, ValueError) as err:
        raise CheckpointError(f"{path}: safetensors without a mapper's header; expected a latent mapper") from err


def _check(path: Path, tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Every tensor that must be there, none that must not, of their shapes, float32 and finite."""
    if wrong := sorted(expected.keys() ^ tensors.keys()):
        problem = "is missing" if wrong[0] in expected else "is unknown"
        raise CheckpointError(f"{path}: {shown(wrong[0])} {problem}; expected a latent mapper's tensors")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape or tensor.dtype != torch.float32:
            found = f"{shown(list(tensor.shape))} of {tensor.dtype}"
            raise CheckpointError(f"{path}: {shown(name)} is {found}; expected {list(expected[name].shape)} of float32")
        if not tensor.isfinite().all():
            raise CheckpointError(f"{path}: {shown(name)} holds NaN or infinite values; the file is damaged")
