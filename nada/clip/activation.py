"""Which activation a CLIP's weights were trained with: nothing in them says, and the other one loads as well.

OpenAI trained with QuickGELU, x * sigmoid(1.702 x), and so did some others; most of open_clip's own weights were
trained with GELU. Under the wrong one every embedding is off, and no shape shows it. open_clip has a name for each,
`ViT-B-32` and `ViT-B-32-quickgelu`, and knows of every tag; of a file it knows nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

from nada.clip.open_clip_import import open_clip
from nada.clip.program import activation_of_program, is_program
from nada.config import Activation, ClipConfig, names_a_file
from nada.errors import CheckpointError, GuideError
from nada.hashing import sha256_file

SUFFIX = "-quickgelu"
HUB_FOLDER = "models--"  # of a file in Hugging Face's cache: models--ORGANISATION--NAME
CONFIG_NAME = "open_clip_config.json"


def check_activation(config: ClipConfig, has_own_config: bool) -> None:
    """Refuse weights that were trained with the other activation than the model's, or that may have been.

    Args:
        config: the model and its weights.
        has_own_config: the project's own JSON describes the model, and says which activation it has.

    Raises:
        GuideError, CheckpointError: another name is right, or the file must be told of.
    """
    ours = _of_model(config.name)
    if not names_a_file(config.weights):
        if _of_tag(config.name, config.weights) == "quickgelu" and ours == "gelu":
            right = f"write name: {config.name}{SUFFIX}"
            raise GuideError(f"{config.name}: tag {config.weights!r} was trained with QuickGELU; {right}")
        return
    path, known = Path(config.weights), _of_file(Path(config.weights))
    if known is not None and known != ours:
        raise CheckpointError(f"{path}: trained with {_said(known)}; {_right_name(config.name, known)}")
    if config.activation is not None and config.activation != ours:
        reason = f"activation says {config.activation}, {config.name} has {_said(ours)}"
        raise CheckpointError(f"{path}: {reason}; {_right_name(config.name, config.activation)}")
    is_open = ours == "gelu" and f"{config.name}{SUFFIX}" in open_clip.list_models() and not has_own_config
    if is_open and known is None and config.activation is None:
        raise CheckpointError(
            f"{path}: trained with QuickGELU, as OpenAI's and MetaCLIP's are, or with GELU, as LAION's and "
            f"DataComp's? Nothing in it says; write name: {config.name}{SUFFIX}, or add activation: gelu"
        )


def _of_model(name: str) -> Activation:
    return "quickgelu" if (open_clip.get_model_config(name) or {}).get("quick_gelu", False) else "gelu"


def _of_tag(name: str, tag: str) -> Activation:
    return "quickgelu" if open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False) else "gelu"


def _of_file(path: Path) -> Activation | None:
    """By its code if it is a program; else by the configuration that lies beside it, the cache that it lies in, or the
    name under which it is published.
    """
    if is_program(path):
        return activation_of_program(path)
    try:
        content = json.loads((path.parent / CONFIG_NAME).read_text(encoding="utf-8"))
        return "quickgelu" if content["model_cfg"].get("quick_gelu", False) else "gelu"
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass
    hubs = {part.removeprefix(HUB_FOLDER).replace("--", "/") for part in path.parts if part.startswith(HUB_FOLDER)}
    for name, tag in open_clip.list_pretrained():
        published = open_clip.get_pretrained_cfg(name, tag)
        url, hub = published.get("url", ""), published.get("hf_hub", "")
        is_it = url.rpartition("/")[2] == path.name and any(map(url.__contains__, _hashes(path)))
        if is_it or any(hub.startswith(f"{one}/") for one in hubs):
            return _of_tag(name, tag)
    return None


def _hashes(path: Path) -> tuple[str, str]:
    """How addresses name a file's content: the whole sha256, or its first digits at the end of the name."""
    sha256 = sha256_file(path)
    return f"/{sha256}/", f"-{sha256[:8]}."


def _right_name(name: str, activation: Activation) -> str:
    right = f"{name}{SUFFIX}" if activation == "quickgelu" else name.removesuffix(SUFFIX)
    if right != name and right in open_clip.list_models():
        return f"write name: {right}"
    return f"no model of open_clip is {name} with it; give it a JSON of its own in guide.config_dir"


def _said(activation: Activation) -> str:
    return {"gelu": "GELU", "quickgelu": "QuickGELU"}[activation]
