"""CLIP as guide and judge: any open_clip model behind embeddings of images and texts.

Legend: N batch, D CLIP width, T texts, H W pixels.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nada.clip.augmentations import Augmentations, draw_augmentations
from nada.clip.goal import PromptPair
from nada.clip.open_clip_import import open_clip
from nada.clip.templates import fill
from nada.config import ClipConfig, GuideConfig, ViewsConfig, names_a_file
from nada.errors import CheckpointError, GuideError, ShapeError
from nada.hashing import sha256_file, sha256_tensors

EDITS_OF_A_TEXT_DIRECTION_MIN = 1e-6


class ClipModel:
    """One frozen open_clip model."""

    def __init__(self, name: str, model: nn.Module, tokenizer: Any, antialias: bool, weights: Path | None) -> None:
        self.name = name
        self.antialias = antialias
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self._weights = weights
        preprocess: dict[str, Any] = model.visual.preprocess_cfg  # type: ignore[union-attr, assignment]
        size = preprocess["size"]
        self.image_size: int = size if isinstance(size, int) else size[0]
        self._device = next(model.parameters()).device
        self._mean = torch.tensor(preprocess["mean"], device=self._device)[:, None, None]
        self._std = torch.tensor(preprocess["std"], device=self._device)[:, None, None]
        self.class_embedding = cache(self._class_embedding)
        self.text_direction = cache(self._text_direction)

    @property
    def resizing(self) -> str:
        """How `embed_images` reaches the model's size, in words."""
        return f"bicubic{' antialiased' if self.antialias else ''} to {self.image_size} px, centre"

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
        if img.ndim != 4 or img.shape[1] != 3:
            raise ShapeError(f"images: expected [N, 3, H, W], got {list(img.shape)}")
        size, shortest = self.image_size, min(img.shape[2:])
        x = (img + 1) / 2
        if shortest != size:
            new_size = [round(side * size / shortest) for side in img.shape[2:]]
            x = F.interpolate(x, size=new_size, mode="bicubic", align_corners=False, antialias=self.antialias)
        top, left = (x.shape[2] - size) // 2, (x.shape[3] - size) // 2
        x = x[:, :, top : top + size, left : left + size]
        emb: Tensor = self._model.encode_image((x - self._mean) / self._std, normalize=True)  # type: ignore[operator]
        return emb

    @torch.no_grad()
    def embed_texts(self, texts: list[str]) -> Tensor:
        """Embed texts, without gradient: emb [T, D], unit norm.

        The text tower attends causally and reads the result at the end-of-text token, so what follows the
        longest text cannot matter: it is cut off, which is exact and several times faster.
        """
        tokens: Tensor = self._tokenizer(texts).to(self._device)
        model: Any = self._model
        causal = getattr(model, "text_pool_type", None) == "argmax" and getattr(model, "attn_mask", None) is not None
        if not causal:
            emb: Tensor = model.encode_text(tokens, normalize=True)
            return emb
        length = int(tokens.argmax(dim=1).max()) + 1  # the end-of-text token has the highest number
        shortened = {
            "positional_embedding": model.positional_embedding[:length],
            "attn_mask": model.attn_mask[:length, :length],
        }
        out = torch.func.functional_call(model, shortened, kwargs={"text": tokens[:, :length]})
        emb = out["text_features"] if isinstance(out, dict) else out[1]
        return emb

    def _class_embedding(self, prompt: str) -> Tensor:
        """Mean embedding of a prompt over the templates, [D], unit norm."""
        return F.normalize(self.embed_texts(fill(prompt)).mean(dim=0), dim=0)

    def _text_direction(self, source: str, target: str) -> Tensor:
        """From source to target, [D], unit norm: the mean over templates of the embeddings' differences.

        Raises:
            GuideError: the model sees no difference between the two.
        """
        difference = (self.embed_texts(fill(target)) - self.embed_texts(fill(source))).mean(dim=0)
        if difference.norm() < EDITS_OF_A_TEXT_DIRECTION_MIN:
            raise GuideError(f"{self.name}: {source!r} and {target!r} mean the same; choose another prompt")
        return F.normalize(difference, dim=0)


class Guide:
    """Several CLIP models, each with its share, that look at the same random views."""

    def __init__(self, models: list[ClipModel], weights: list[float], views: ViewsConfig | None = None) -> None:
        self.models = models
        self.weights = weights
        self.views = views or ViewsConfig()

    def draw_augmentations(self, count: int, resolution: int, rng: torch.Generator) -> Augmentations:
        """One random view of each of N images [3, R, R], for `embed_images`."""
        return draw_augmentations(count, resolution, self.views, rng)

    def embed_images(self, img: Tensor, views: Augmentations) -> list[Tensor]:
        """One emb [N, D] a model, of one view of each image."""
        seen = views.of(img)
        return [model.embed_images(seen) for model in self.models]

    def text_directions(self, pair: PromptPair) -> list[Tensor]:
        """One text direction [D] a model."""
        return [model.text_direction(pair.source, pair.target) for model in self.models]

    def text_embeddings(self, text: str) -> list[Tensor]:
        """One emb [D] of a text, as it stands, a model."""
        return [model.embed_texts([text])[0] for model in self.models]

    def weigh(self, losses: Iterable[Tensor]) -> Tensor:
        """The sum of one loss a model, each by its share."""
        total = sum(weight * loss for weight, loss in zip(self.weights, losses, strict=True))
        assert isinstance(total, Tensor)
        return total


def load_clip(config: ClipConfig, config_dir: str | None, antialias: bool, device: str) -> ClipModel:
    """Build an open_clip model and load its weights, by pretrained tag or from a file.

    Raises:
        GuideError: open_clip has no such architecture, or cannot fetch the tag.
        CheckpointError: the weights file is missing, damaged, or of another architecture.
    """
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise GuideError(f"guide.config_dir: no folder {config_dir!r}; expected open_clip JSON configs")
        open_clip.add_model_config(Path(config_dir))
    if config.name not in open_clip.list_models():
        known = ", ".join(sorted(open_clip.list_models(), key=lambda name: _distance(name, config.name))[:5])
        raise GuideError(f"{config.name!r}: open_clip has no such model; the nearest are {known}")
    is_file = names_a_file(config.weights)
    if is_file and not Path(config.weights).is_file():
        raise CheckpointError(f"{config.weights}: no such file; expected weights of {config.name}")
    tags = open_clip.list_pretrained_tags_by_model(config.name)
    if not is_file and config.weights not in tags:
        allowed = ", ".join(tags) or "none"
        raise GuideError(f"{config.name}: no pretrained tag {config.weights!r}; known tags: {allowed}; or name a file")
    try:
        model = open_clip.create_model(config.name, pretrained=config.weights, device=device)
    except Exception as err:  # open_clip raises whatever its readers raise
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        if is_file:
            raise CheckpointError(f"{config.weights}: not weights of {config.name} ({reason})") from err
        raise GuideError(f"{config.name}: tag {config.weights!r} cannot be fetched ({reason})") from err
    weights = Path(config.weights) if is_file else None
    return ClipModel(config.name, model, open_clip.get_tokenizer(config.name), antialias, weights)


def load_guide(config: GuideConfig, device: str) -> Guide:
    """Every model of the guide; errors as in `load_clip`."""
    models = [load_clip(clip, config.config_dir, config.antialias, device) for clip in config.models]
    return Guide(models, [clip.weight for clip in config.models], config.views)


def _distance(name: str, wanted: str) -> float:
    from difflib import SequenceMatcher

    return -SequenceMatcher(None, name.lower(), wanted.lower()).ratio()


logging.getLogger("open_clip").setLevel(logging.ERROR)
