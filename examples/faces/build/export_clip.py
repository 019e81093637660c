"""Write a CLIP of faces as a night loads it: an open_clip config, and weights in float16.

    python export_clip.py WORK/gc.pt WORK/tower.pt ../clip/nada-faces-guide --lite 0 --projection 0
    python export_clip.py WORK/ja.pt WORK/tower.pt ../clip/nada-faces-judge --lite 1 --projection 1

Pictures go through what `train_clip.py` trained, texts through the tower of `distil_text.py`. Its tokens and positions
are spread over the full vocabulary (49,408) and length (77): rows of unused tokens are zero, so that an unknown word
says nothing, and positions beyond the known ones are as the last.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from clip_model import WIDTH
from distil_text import LENGTH, NUM_HEADS, NUM_LAYERS, TOWER_WIDTH
from safetensors.torch import save_file
from styles import SIDE_PX
from torch import Tensor

from nada.atomic import replacing
from nada.clip.open_clip_import import open_clip

VOCABULARY, CONTEXT_LENGTH = 49408, 77
OWN_NAMES = {"proj.weight": "visual.head.proj.weight", "log_scale": "logit_scale"}


def config(lite: int) -> dict[str, Any]:
    """As open_clip reads it."""
    return {
        "embed_dim": WIDTH,
        "vision_cfg": {
            "timm_model_name": f"tf_efficientnet_lite{lite}",
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "linear",
            "image_size": SIDE_PX,
        },
        "text_cfg": {
            "context_length": CONTEXT_LENGTH,
            "vocab_size": VOCABULARY,
            "width": TOWER_WIDTH,
            "heads": NUM_HEADS,
            "layers": NUM_LAYERS,
        },
    }


def full_state(
    clip: Mapping[str, Tensor], tower: Mapping[str, Tensor], ids: Tensor, projection: int
) -> dict[str, Tensor]:
    """Weights of the whole model by open_clip's names, in float16.

    Args:
        clip: of `train_clip.py`; its text head is left out.
        tower: the state of a `TextTower`.
        ids: of its tokens.
        projection: which of the tower's is the CLIP's.
    """
    state = {f"visual.{name}": tensor for name, tensor in clip.items() if name.startswith("trunk.")}
    state |= {theirs: clip[own] for own, theirs in OWN_NAMES.items()}
    state |= {name: tensor for name, tensor in tower.items() if not name.startswith("text_projection.")}
    tokens, known = torch.zeros(VOCABULARY, TOWER_WIDTH), tower["positional_embedding"]
    tokens[ids] = tower["token_embedding.weight"]
    state["token_embedding.weight"] = tokens
    state["positional_embedding"] = torch.cat([known, known[-1:].expand(CONTEXT_LENGTH - LENGTH, -1)])
    state["text_projection"] = tower[f"text_projection.{projection}"]
    return {name: (t.half() if t.is_floating_point() else t).contiguous() for name, t in state.items()}


def export(stem: Path, lite: int, state: Mapping[str, Tensor]) -> None:
    """Write STEM.safetensors and STEM.json, each whole or not at all.

    Raises:
        RuntimeError: the weights are not those of the model that the config describes.
    """
    open_clip.CLIP(**config(lite)).load_state_dict(state)
    with replacing(stem.with_name(f"{stem.name}.safetensors")) as partial:
        save_file(dict(state), partial)
    with replacing(stem.with_name(f"{stem.name}.json")) as partial:
        partial.write_text(json.dumps(config(lite), indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, help="of train_clip.py")
    parser.add_argument("tower", type=Path, help="of distil_text.py")
    parser.add_argument("stem", type=Path, help="without .json and .safetensors")
    parser.add_argument("--lite", type=int, required=True)
    parser.add_argument("--projection", type=int, required=True, help="the clip's place among those of distil_text.py")
    args = parser.parse_args()
    clip, text = (torch.load(path, weights_only=True, map_location="cpu") for path in (args.clip, args.tower))
    export(args.stem, args.lite, full_state(clip, text["tower"], text["ids"], args.projection))


if __name__ == "__main__":
    main()
