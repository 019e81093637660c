"""One open_clip model behind embeddings of images and texts, as guide or judge.

Legend: N batch, D CLIP width, T texts, H W pixels.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nada.clip.templates import fill
from nada.errors import GuideError, ShapeError
from nada.hashing import sha256_file, sha256_tensors

EDITS_OF_A_TEXT_DIRECTION_MIN = 1e-6


class ClipModel:
    """One frozen open_clip model."""

    def __init__(self, name: str, model: Any, tokenizer: Any, antialias: bool, weights: Path | None) -> None:
        """Freeze a model.

        Args:
            name: its architecture.
            model: a module of open_clip, which answers with a dict (`output_dict` of `create_model`) if it can.
            tokenizer: of the architecture.
            antialias: whether images are resized with it.
            weights: the file that they were read from, if it was one.
        """
        self.name = name
        self.antialias = antialias
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self._weights = weights
        self._class_embeddings: dict[str, Tensor] = {}
        self._text_directions: dict[tuple[str, str], Tensor] = {}
        preprocess: dict[str, Any] = model.visual.preprocess_cfg
        size = preprocess["size"]
        self.image_size: int = size if isinstance(size, int) else size[0]
        self._device = next(model.parameters()).device
        self._mean = torch.tensor(preprocess["mean"], device=self._device)[:, None, None]
        self._std = torch.tensor(preprocess["std"], device=self._device)[:, None, None]

    @property
    def resizing(self) -> str:
        """How `embed_images` reaches the model's size, in words."""
        return f"bicubic{' antialiased' if self.antialias else ''} to {self.image_size} px, centre"

    @property
    def visual(self) -> nn.Module:
        """The image tower, as open_clip has it."""
        tower: nn.Module = self._model.visual
        return tower

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal sha256 of the weights: of the file, or of the tensors where open_clip fetched them.

        Raises:
            OSError: the file, read before, cannot be read any more.
        """
        if self._weights is not None:
            return sha256_file(self._weights)
        return sha256_tensors(self._model.state_dict())

    def embed_images(self, img: Tensor) -> Tensor:
        """Embed images, differentiably.

        Args:
            img: [N, 3, H, W], RGB in [-1, 1]; resized and cropped to the model's size.

        Returns:
            emb [N, D], unit norm.

        Raises:
            ShapeError: not [N, 3, H, W].
        """
        emb: Tensor = self._model.encode_image(self._seen(img), normalize=True)
        return emb

    def embed_images_raw(self, img: Tensor) -> Tensor:
        """The same before they are normalised, emb_raw [N, D]."""
        emb_raw: Tensor = self._model.encode_image(self._seen(img), normalize=False)
        return emb_raw

    def _seen(self, img: Tensor) -> Tensor:
        """Images as the model takes them."""
        if img.ndim != 4 or img.shape[1] != 3:
            raise ShapeError(f"images: expected [N, 3, H, W], got {list(img.shape)}")
        size, shortest = self.image_size, min(img.shape[2:])
        x = (img + 1) / 2
        if shortest != size:
            new_size = [round(side * size / shortest) for side in img.shape[2:]]
            x = F.interpolate(x, size=new_size, mode="bicubic", align_corners=False, antialias=self.antialias)
        top, left = (x.shape[2] - size) // 2, (x.shape[3] - size) // 2
        x = x[:, :, top : top + size, left : left + size]
        return (x - self._mean) / self._std

    @torch.no_grad()
    def embed_texts(self, texts: list[str]) -> Tensor:
        """Embed texts, without gradient: emb [T, D], unit norm.

        The text tower attends causally and reads the result at the end-of-text token, so what follows the
        longest text cannot matter: it is cut off, which is exact and several times faster.
        """
        tokens: Tensor = self._tokenizer(texts).to(self._device)
        model = self._model
        causal = getattr(model, "text_pool_type", None) == "argmax" and getattr(model, "attn_mask", None) is not None
        if not causal:
            emb: Tensor = model.encode_text(tokens, normalize=True)
            return emb
        length = int(tokens.argmax(dim=1).max()) + 1  # the end-of-text token has the highest number
        shortened = {
            "positional_embedding": model.positional_embedding[:length],
            "attn_mask": model.attn_mask[:length, :length],
        }
        out: dict[str, Tensor] = torch.func.functional_call(model, shortened, kwargs={"text": tokens[:, :length]})
        return out["text_features"]

    def class_embedding(self, prompt: str) -> Tensor:
        """Mean embedding of a prompt over the templates, [D], unit norm; computed once."""
        if prompt not in self._class_embeddings:
            self._class_embeddings[prompt] = F.normalize(self.embed_texts(fill(prompt)).mean(dim=0), dim=0)
        return self._class_embeddings[prompt]

    def text_direction(self, source: str, target: str) -> Tensor:
        """From source to target, [D], unit norm: the mean over templates of the embeddings' differences; computed once.

        Raises:
            GuideError: the model sees no difference between the two.
        """
        if (source, target) not in self._text_directions:
            difference = (self.embed_texts(fill(target)) - self.embed_texts(fill(source))).mean(dim=0)
            if difference.norm() < EDITS_OF_A_TEXT_DIRECTION_MIN:
                raise GuideError(f"{self.name}: {source!r} and {target!r} mean the same; choose another prompt")
            self._text_directions[source, target] = F.normalize(difference, dim=0)
        return self._text_directions[source, target]
