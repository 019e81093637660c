"""The two small CLIPs: their open_clip configs, and a compact form of them for training.

Training holds embeddings only of the tokens that captions use and positions only as far as captions reach. Export
spreads both over the full vocabulary (49,408) and length (77): rows of unused tokens are zero, so that an unknown
word says nothing. The causal mask makes the shorter length exact.
"""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import captions
import torch
from safetensors.torch import save_file
from torch import Tensor

from nada.clip.open_clip_import import open_clip
from nada.clip.templates import fill

EMBED_DIM = 128
TEXT_CFG: dict[str, Any] = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 3}

CONFIGS: dict[str, dict[str, Any]] = {
    "vit": {
        "embed_dim": EMBED_DIM,
        "vision_cfg": {"image_size": 64, "layers": 4, "width": 128, "head_width": 32, "patch_size": 8},
        "text_cfg": TEXT_CFG,
    },
    "conv": {
        "embed_dim": EMBED_DIM,
        "vision_cfg": {"image_size": 64, "layers": [1, 2, 2, 1], "width": 20, "head_width": 64},
        "text_cfg": TEXT_CFG,
    },
    "vit-coarse": {
        "embed_dim": EMBED_DIM,
        "vision_cfg": {"image_size": 64, "layers": 5, "width": 144, "head_width": 24, "patch_size": 16},
        "text_cfg": TEXT_CFG,
    },
}

TRAIN_LENGTH = 24


def to_clip(img: Tensor) -> Tensor:
    """Images in [-1, 1] as open_clip's default preprocessing hands them to a model, [N, 3, H, W]."""
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN)[:, None, None]
    std = torch.tensor(open_clip.OPENAI_DATASET_STD)[:, None, None]
    return ((img + 1) / 2 - mean) / std


def known_tokens() -> Tensor:
    """Sorted ids of every token that captions can hold; the end mark is the last, as in the full vocabulary."""
    words = [w for table in (captions.NOUNS, captions.ADJECTIVES, captions.FORMS) for ws in table.values() for w in ws]
    words += [*captions.BARE, *captions.DETAILS, "sketch of a cat with a dog"]
    texts = [text for w in ("portrait", "photo of a face") for text in fill(w)] + words
    return torch.unique(open_clip.get_tokenizer("ViT-B-32")(texts))


class CaptionTokens:
    """Turns captions into compact token ids, [N, TRAIN_LENGTH]."""

    def __init__(self) -> None:
        self.tokenize = open_clip.get_tokenizer("ViT-B-32")
        self.ids = known_tokens()

    def __call__(self, texts: list[str]) -> Tensor:
        full = self.tokenize(texts)
        if int((full[:, TRAIN_LENGTH:] != 0).sum()):
            raise ValueError(f"a caption is longer than {TRAIN_LENGTH} tokens")
        compact = torch.searchsorted(self.ids, full[:, :TRAIN_LENGTH].contiguous())
        if not torch.equal(self.ids[compact.clamp(max=len(self.ids) - 1)], full[:, :TRAIN_LENGTH]):
            raise ValueError("a caption holds a word that known_tokens() misses")
        return compact


def build_compact(architecture: str, num_tokens: int) -> torch.nn.Module:
    """A model of CONFIGS with a vocabulary of `num_tokens` and TRAIN_LENGTH positions, random weights."""
    config = deepcopy(CONFIGS[architecture])
    config["text_cfg"].update(vocab_size=num_tokens, context_length=TRAIN_LENGTH)
    model: torch.nn.Module = open_clip.CLIP(**config)
    return model


def full_state(model: torch.nn.Module, ids: Tensor) -> dict[str, Tensor]:
    """Weights for the full config as float16."""
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    tokens = torch.zeros(TEXT_CFG["vocab_size"], TEXT_CFG["width"])
    tokens[ids] = state["token_embedding.weight"]
    positions = torch.zeros(TEXT_CFG["context_length"], TEXT_CFG["width"])
    positions[:TRAIN_LENGTH] = state["positional_embedding"]
    positions[TRAIN_LENGTH:] = state["positional_embedding"][-1]
    state["token_embedding.weight"], state["positional_embedding"] = tokens, positions
    return {n: (v.half() if v.is_floating_point() else v).contiguous() for n, v in state.items()}


def compact_state(state: dict[str, Tensor], ids: Tensor) -> dict[str, Tensor]:
    """The inverse of `full_state`, float32, to continue training from an exported file."""
    compact = {n: (v.float() if v.is_floating_point() else v) for n, v in state.items()}
    compact["token_embedding.weight"] = compact["token_embedding.weight"][ids]
    compact["positional_embedding"] = compact["positional_embedding"][:TRAIN_LENGTH]
    return compact


def export(model: torch.nn.Module, ids: Tensor, architecture: str, stem: Path, note: dict[str, str]) -> None:
    """Write STEM.json (open_clip config) and STEM.safetensors (float16), each whole or not at all."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    partial = stem.with_name(stem.name + ".partial")
    save_file(full_state(model, ids), str(partial), metadata=note)
    partial.replace(stem.with_name(stem.name + ".safetensors"))
    partial.write_text(json.dumps(CONFIGS[architecture], indent=2) + "\n", encoding="utf-8")
    partial.replace(stem.with_name(stem.name + ".json"))
