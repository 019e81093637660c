"""Embeddings of texts, kept between plans under what decides them: a plan asks a guide about new prompts alone.

`.cache/texts/<sha256>.safetensors` holds the texts that plans asked one guide about, the latest first. A file that
cannot be read, or holds something else, is computed again; one that cannot be written costs nothing but the time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nada.atomic import replacing
from nada.errors import OutputError
from nada.hashing import sha256_tensors
from tasks.config.project import HERE
from tasks.keys.code import code_hash

if TYPE_CHECKING:
    from nada.clip.model import ClipModel

DISTRIBUTIONS = ("torch", "open_clip_torch")
MAX_TEXTS = 10_000  # kept of a guide; of 512 numbers each 20 MB
UNREADABLE = (SafetensorError, OSError, ValueError, TypeError, KeyError)


class KnownTexts:
    """A guide's text tower that is loaded when it is asked about a text that it was not asked about before."""

    def __init__(self, identity: str, load: Callable[[], ClipModel]) -> None:
        """Start from what the last plan kept.

        Args:
            identity: of architecture and weights (`tasks.keys.row_keys.clip_hashes`).
            load: the guide itself.
        """
        versions = [metadata.version(name) for name in DISTRIBUTIONS]
        key = json.dumps([identity, code_hash(["nada.clip.model"]), *versions])
        self._path = HERE.text_cache / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"
        self._load = load
        self._known = _read(self._path)
        self._asked: dict[str, Tensor] = {}
        self._is_new = False

    @cached_property
    def _model(self) -> ClipModel:
        return self._load()

    def embed_texts(self, texts: list[str]) -> Tensor:
        """As `ClipModel.embed_texts`."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._known]:
            self._known |= dict(zip(new, self._model.embed_texts(new), strict=True))
            self._is_new = True
        self._asked |= {text: self._known[text] for text in texts}
        return torch.stack([self._known[text] for text in texts])

    def keep(self) -> None:
        """Keep what was asked, and as much as there is room for of what was asked before."""
        if not self._is_new:
            return
        texts = list({**self._asked, **self._known})[:MAX_TEXTS]
        emb = torch.stack([self._known[text] for text in texts])
        header = {"texts": json.dumps(texts), "sha256": _digest(texts, emb)}
        with suppress(OutputError, SafetensorError), replacing(self._path) as partial:
            save_file({"emb": emb}, partial, header)


def _read(path: Path) -> dict[str, Tensor]:
    """Text -> its embedding, [D]; nothing where the file is absent or not the one that was written."""
    with suppress(*UNREADABLE), safe_open(path, framework="pt") as file:
        texts, emb = json.loads(file.metadata()["texts"]), file.get_tensor("emb")
        if file.metadata()["sha256"] == _digest(texts, emb):
            return dict(zip(texts, emb, strict=True))
    return {}


def _digest(texts: list[str], emb: Tensor) -> str:
    return hashlib.sha256((json.dumps(texts) + sha256_tensors({"emb": emb})).encode()).hexdigest()
