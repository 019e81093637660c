"""A CLIP's file: read without executing anything in it, and held against the model that it shall be.

Every tensor must be there and have the model's shape. open_clip would stretch positional embeddings of another
picture size, and torch would advise to switch its own safety off; here the file is refused with the reason.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor, nn

from nada.checkpoints.container import container
from nada.checkpoints.pickles.torch_file import load_torch
from nada.checkpoints.safetensors_header import read_metadata
from nada.clip.open_clip_import import open_clip
from nada.clip.program import is_program, read_program
from nada.errors import CheckpointError, shown

EXPECTED = "expected a CLIP's .safetensors, or its state dict as torch saves it"
PARALLEL_PREFIX = "module."  # of torch's DistributedDataParallel
NOT_TENSORS = ("input_resolution", "context_length", "vocab_size", "attn_mask")  # OpenAI keeps these beside its tensors
POSITION_IDS = "text.transformer.embeddings.position_ids"  # of older transformers; the same numbers in every model
BIG_VISION = ".npz"
MAX_NAMED = 3  # tensors that differ, in a message


def load_weights(path: Path, name: str, model: nn.Module) -> None:
    """Put a file's tensors into a model.

    Args:
        path: a state dict in safetensors or torch's format, bare or of a training; or numpy's of big_vision.
        name: of the model, for messages.
        model: of open_clip.

    Raises:
        CheckpointError: truncated, unsafe, or not of this model; says what differs.
    """
    if path.suffix == BIG_VISION:
        _load_big_vision(path, name, model)
        return
    state = _in_names_of(model, read_state(path))
    ours = model.state_dict()
    problems = {
        "missing": [key for key in ours if key not in state],
        "unknown": [key for key in state if key not in ours],
        "of another shape": [
            f"{key} is {list(state[key].shape)} and not {list(ours[key].shape)}"
            for key in ours
            if key in state and state[key].shape != ours[key].shape
        ],
    }
    told = [f"{len(found)} {kind} ({_listed(found)})" for kind, found in problems.items() if found]
    if told:
        fitting = _fitting(state)
        is_another = bool(fitting) and name not in fitting
        hint = f"; by their shapes they are of {' or '.join(fitting[:MAX_NAMED])}" if is_another else ""
        raise CheckpointError(f"{path}: not weights of {name}; tensors: {'; '.join(told)}{hint}")
    not_finite = [key for key, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if not_finite:
        raise CheckpointError(f"{path}: {shown(not_finite[0])} holds NaN or infinite values; fetch it again")
    model.load_state_dict(state)


def read_state(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by name, without what a parallel training puts before it.

    Raises:
        CheckpointError: truncated, unsafe, or no state dict.
    """
    kind = container(path, EXPECTED)
    if kind == "safetensors":
        read_metadata(path)
        with safe_open(path, framework="pt") as opened:
            content: Any = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    elif kind == "torch":
        content = read_program(path) if is_program(path) else load_torch(path)
    else:
        raise CheckpointError(f"{path}: a pickle, as generators of NVIDIA's are; {EXPECTED}")
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}; expected a dict of tensors")
    state = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    is_parallel = bool(state) and all(key.startswith(PARALLEL_PREFIX) for key in state)
    return {key.removeprefix(PARALLEL_PREFIX if is_parallel else ""): value for key, value in state.items()}


def _in_names_of(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as open_clip's current models name them."""
    for key in NOT_TENSORS:
        state.pop(key, None)
    state = open_clip.factory.convert_state_dict(model, state)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = open_clip.factory.convert_to_custom_text_state_dict(state)
    ours = model.state_dict()
    for key in ("logit_scale", "logit_bias"):
        if key in state and key in ours and state[key].numel() == ours[key].numel():
            state[key] = state[key].reshape(ours[key].shape)
    if POSITION_IDS not in ours:
        state.pop(POSITION_IDS, None)
    return state


def _fitting(state: Mapping[str, Tensor]) -> list[str]:
    """Models of open_clip whose two transformers have the shapes of these, of ViTs without further parts."""
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    depths = {
        tower: sum(key.startswith(f"{tower}.resblocks.") and key.endswith(".ln_1.weight") for key in shapes)
        for tower in ("visual.transformer", "transformer")
    }
    fitting = []
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        vision, text = config["vision_cfg"], config["text_cfg"]
        is_plain = isinstance(vision.get("layers"), int) and vision.keys() >= {"width", "patch_size", "image_size"}
        if not (is_plain and text.keys() >= {"width", "layers", "context_length"}):
            continue
        width, patch, size = vision["width"], vision["patch_size"], vision["image_size"]
        expected = {
            "visual.conv1.weight": (width, 3, patch, patch),
            "visual.positional_embedding": ((size // patch) ** 2 + 1, width),
            "positional_embedding": (text["context_length"], text["width"]),
            "text_projection": (text["width"], config["embed_dim"]),
        }
        is_deep = depths == {"visual.transformer": vision["layers"], "transformer": text["layers"]}
        if is_deep and all(shapes.get(key) == shape for key, shape in expected.items()):
            fitting.append(name)
    return fitting


def _load_big_vision(path: Path, name: str, model: nn.Module) -> None:
    """numpy's archive of a SigLIP, by open_clip's own reader; compressed ones could unpack to any size."""
    try:
        with zipfile.ZipFile(path) as archive:
            if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                raise CheckpointError(f"{path}: a compressed archive of numpy's; save it by numpy.savez")
        open_clip.load_checkpoint(model, str(path))
    except CheckpointError:
        raise
    except Exception as err:  # the reader raises whatever its parts raise
        raise CheckpointError(f"{path}: not weights of {name} ({type(err).__name__})") from err


def _listed(found: list[str]) -> str:
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return ", ".join(shown(name)[1:-1] for name in found[:MAX_NAMED]) + more
