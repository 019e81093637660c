"""What CLIP's tokenizer makes of a prompt. It is slow to import, so it is not asked of plain prompts that differ."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from nada.clip.templates import fill, open_clip_folder
from tasks.config.model import Params

CONTEXT_LENGTH = 77  # of every CLIP that OpenAI published
TEMPLATE_TOKENS = 12
"""An upper bound of what a template adds, start and end marks included; a test counts them."""

JOINT_TOKENS = 2
"""Tokens that punctuation at the end of a prompt may take more once a template's full stop follows it."""

LONGEST_TOKEN = 32
"""Bytes of the longest entry of the vocabulary; a test counts them."""


def context_length(params: Params) -> int:
    """Tokens that every model of params.yaml can read, as open_clip's JSON configs and the project's own declare."""
    own = [Path(params.guide.config_dir)] if params.guide.config_dir else []
    folders = [open_clip_folder() / "model_configs", *own]
    names = _names(params)
    return min((length for folder in folders for length in _config_lengths(folder, names)), default=CONTEXT_LENGTH)


def count_tokens(prompt: str, enough: int) -> int:
    """Tokens of a prompt inside its longest template, start and end marks included.

    Args:
        prompt: what stands in the braces of the templates.
        enough: the limit that matters. A prompt that cannot exceed it is answered with an upper bound: a token
            holds at least one byte, and the tokens of a template are known.
    """
    bound = len(prompt.encode()) + TEMPLATE_TOKENS
    if is_plain(prompt) and bound <= enough:
        return bound
    bound = len(_tokenizer().encode(prompt)) + TEMPLATE_TOKENS + JOINT_TOKENS
    if bound <= enough:
        return bound
    return max(len(_tokenizer().encode(text)) for text in fill(prompt)) + 2


def is_plain(prompt: str) -> bool:
    """Whether it is known without the tokenizer that `read_as` changes nothing but case and spaces, by a test."""
    return prompt.isascii() and not {"&", "<"} & set(prompt)


def read_as(prompt: str) -> str:
    """The prompt as the tokenizer cleans it: quotes uncurled, entities and forms of letters resolved, lower case."""
    cleaned: str = " ".join(prompt.lower().split()) if is_plain(prompt) else _tokenizer().clean_fn(prompt)
    return cleaned


def are_one(source: str, target: str) -> bool:
    """Whether CLIP reads the same in both."""
    if is_plain(source) and is_plain(target) and _letters(source) != _letters(target):
        return False  # as tokens hold everything but spaces
    return bool(_tokenizer().encode(source) == _tokenizer().encode(target))


def special_tokens(prompt: str) -> list[str]:
    """CLIP's marks of a text's start and end that the prompt spells out; a text would end there."""
    if is_plain(prompt):
        return []
    tokenizer = _tokenizer()
    return [str(tokenizer.decoder[token]) for token in tokenizer.encode(prompt) if token in tokenizer.all_special_ids]


def _letters(prompt: str) -> str:
    return "".join(prompt.lower().split())


@cache
def _tokenizer() -> Any:
    from nada.clip.open_clip_import import open_clip

    return open_clip.SimpleTokenizer()


def _names(params: Params) -> frozenset[str]:
    return frozenset({params.judge.model.name, *(clip.name for clip in params.guide.models)})


@cache
def _config_lengths(folder: Path, names: frozenset[str]) -> tuple[int, ...]:
    """Context lengths declared by the JSON configs of these models; unreadable ones are the guide's to report."""
    lengths = []
    for name in sorted(names):
        try:
            config = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            lengths.append(int(config["text_cfg"]["context_length"]))
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return tuple(lengths)
