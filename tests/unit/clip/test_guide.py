from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nada.clip.augmentations import Augmentations
from nada.clip.goal import PromptPair
from nada.clip.guide import ClipModel, Guide, load_clip
from nada.config import ClipConfig
from nada.errors import CheckpointError, GuideError, ShapeError


def clip_config(folder: Path, name: str = "tiny-guide", weights: str | None = None) -> ClipConfig:
    return ClipConfig(name=name, weights=weights or str(folder / f"{name}.safetensors"))


def test_short_texts_embed_as_the_whole_context_would(tiny_guide: Guide) -> None:
    model = tiny_guide.models[0]
    texts = ["a", "a photo of a cat"]
    whole = model._model.encode_text(model._tokenizer(texts), normalize=True)  # type: ignore[operator]
    torch.testing.assert_close(model.embed_texts(texts), whole, atol=1e-6, rtol=1e-5)


def test_a_text_direction_has_unit_norm_and_turns_around_with_its_texts(tiny_guide: Guide) -> None:
    there = tiny_guide.text_directions(PromptPair("photo", "sketch"))[0]
    back = tiny_guide.text_directions(PromptPair("sketch", "photo"))[0]
    assert there.norm() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(there, -back)


def test_texts_that_mean_the_same_are_refused(tiny_guide: Guide) -> None:
    with pytest.raises(GuideError, match="tiny-guide: 'cat' and 'cat' mean the same; choose another prompt"):
        tiny_guide.text_directions(PromptPair("cat", "cat"))


def test_images_of_any_size_embed_with_unit_norm_and_a_gradient(tiny_guide: Guide) -> None:
    img = torch.zeros(2, 3, 40, 24, requires_grad=True)
    emb = tiny_guide.embed_images(img, Augmentations(None, None))[0]
    emb.sum().backward()
    torch.testing.assert_close(emb.norm(dim=1), torch.ones(2))
    assert img.grad is not None and img.grad.abs().sum() > 0


def test_grey_images_without_colour_axis_are_refused(tiny_guide: Guide) -> None:
    with pytest.raises(ShapeError, match=r"expected \[N, 3, H, W\], got \[2, 16, 16\]"):
        tiny_guide.models[0].embed_images(torch.zeros(2, 16, 16))


def test_an_unknown_model_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(GuideError, match=r"'ViT-B-33': open_clip has no such model; the nearest are ViT-B-32"):
        load_clip(ClipConfig(name="ViT-B-33", weights="openai"), None, True, "cpu")


def test_an_unknown_tag_is_answered_with_the_known_ones() -> None:
    with pytest.raises(GuideError, match=r"ViT-B-32: no pretrained tag 'opnai'; known tags: openai,"):
        load_clip(ClipConfig(name="ViT-B-32", weights="opnai"), None, True, "cpu")


def test_missing_weights_are_named(tiny_world: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file; expected weights of tiny-guide"):
        load_clip(clip_config(tiny_world, weights="none.safetensors"), str(tiny_world), True, "cpu")


def test_truncated_weights_are_named(tiny_world: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes((tiny_world / "tiny-guide.safetensors").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"broken\.safetensors: not weights of tiny-guide"):
        load_clip(clip_config(tiny_world, weights=str(broken)), str(tiny_world), True, "cpu")


def test_the_fingerprint_tells_two_models_apart(tiny_world: Path) -> None:
    prints = {
        load_clip(clip_config(tiny_world, name), str(tiny_world), True, "cpu").fingerprint
        for name in ("tiny-guide", "tiny-judge")
    }
    assert len(prints) == 2


def test_a_model_fetched_by_tag_has_a_fingerprint_of_its_tensors(tiny_guide: Guide) -> None:
    model = tiny_guide.models[0]
    fetched = ClipModel(model.name, model._model, model._tokenizer, True, None)
    assert len(fetched.fingerprint) == 64


def test_a_text_with_exclamation_marks_is_cut_behind_its_end_mark(tiny_guide: Guide) -> None:
    model = tiny_guide.models[0]
    texts = ["x!~y portrait"]  # `!~` holds the token of number 0, which also pads
    whole = model._model.encode_text(model._tokenizer(texts), normalize=True)  # type: ignore[operator]
    torch.testing.assert_close(model.embed_texts(texts), whole, atol=1e-6, rtol=1e-5)
