from __future__ import annotations

import pytest
import torch

from nada.clip.augmentations import Augmentations
from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.clip.model import ClipModel
from nada.errors import GuideError, ShapeError


def test_short_texts_embed_as_the_whole_context_would(tiny_guide: Guide) -> None:
    model = tiny_guide.models[0]
    texts = ["a", "a photo of a cat"]
    whole = model._model.encode_text(model._tokenizer(texts), normalize=True)
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


def test_a_model_fetched_by_tag_has_a_fingerprint_of_its_tensors(tiny_guide: Guide) -> None:
    model = tiny_guide.models[0]
    fetched = ClipModel(model.name, model._model, model._tokenizer, True, None)
    assert len(fetched.fingerprint) == 64


def test_a_text_with_exclamation_marks_is_cut_behind_its_end_mark(tiny_guide: Guide) -> None:
    model = tiny_guide.models[0]
    texts = ["x!~y portrait"]  # `!~` holds the token of number 0, which also pads
    whole = model._model.encode_text(model._tokenizer(texts), normalize=True)
    torch.testing.assert_close(model.embed_texts(texts), whole, atol=1e-6, rtol=1e-5)


def test_what_a_prompt_means_is_asked_once(tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = (
        ClipModel("m", tiny_guide.models[0]._model, tiny_guide.models[0]._tokenizer, True, None) for _ in "ab"
    )
    first = model.text_direction("photo", "sketch"), model.class_embedding("photo")
    monkeypatch.setattr(model, "embed_texts", None)
    assert (model.text_direction("photo", "sketch"), model.class_embedding("photo")) == first
    torch.testing.assert_close(other.text_direction("photo", "robot"), -other.text_direction("robot", "photo"))
