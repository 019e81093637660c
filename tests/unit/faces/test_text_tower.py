"""How a sentence encoder and two heads become one text tower, and what is tmp_path with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nada.clip.loading import load_clip
from nada.clip.open_clip_import import open_clip
from nada.config import ClipConfig

Script = Callable[[str], ModuleType]
TEXTS = ["photo", "a sketch of a face", "oil painting", "a face, oil painting", "sketch", "a photo of a person"]
TOO_LONG = "a face " * 12
UNKNOWN = "zebra"


def unit_rows(num: int, width: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(num, width, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_an_export_loads_as_a_night_loads_it_and_embeds_as_what_was_trained(script: Script, tmp_path: Path) -> None:
    clip_model, distil_text, export_clip = (script(name) for name in ("clip_model", "distil_text", "export_clip"))
    torch.manual_seed(0)
    ids, tokens, _ = distil_text.compact_tokens(TEXTS)
    tower, clip = distil_text.TextTower(len(ids), 2), clip_model.FaceClip(0).eval()
    img = torch.rand(2, 3, 128, 128) * 2 - 1
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        wanted, pictures = tower(tokens), clip.embed_images(img)
    for projection, name in enumerate(("tower-first", "tower-second")):
        state = export_clip.full_state(clip.state_dict(), tower.state_dict(), ids, projection)
        export_clip.export(tmp_path / name, 0, state)
        config = ClipConfig(name=name, weights=str(tmp_path / f"{name}.safetensors"))
        loaded = load_clip(config, str(tmp_path), antialias=True, device="cpu")
        assert torch.allclose(loaded.embed_texts(TEXTS), wanted[projection], atol=2e-3), name
        assert torch.allclose(loaded.embed_images(img), pictures, atol=2e-3), name
    assert not torch.allclose(wanted[0], wanted[1], atol=0.1)


def test_an_unknown_word_says_nothing_and_texts_beyond_the_tower_are_embedded(script: Script) -> None:
    clip_model, distil_text, export_clip = (script(name) for name in ("clip_model", "distil_text", "export_clip"))
    ids, _, _ = distil_text.compact_tokens(TEXTS)
    tower = distil_text.TextTower(len(ids), 1)
    state = export_clip.full_state(clip_model.FaceClip(0).state_dict(), tower.state_dict(), ids, 0)
    (unknown,) = open_clip.get_tokenizer("ViT-B-32")([UNKNOWN])[0, 1:2].tolist()
    assert not state["token_embedding.weight"][unknown].any()
    assert state["token_embedding.weight"][ids].any(dim=1).all()
    positions = state["positional_embedding"]
    assert len(positions) == 77 and positions.any(dim=1).all()


def test_another_networks_weights_are_not_written(script: Script, tmp_path: Path) -> None:
    clip_model, distil_text, export_clip = (script(name) for name in ("clip_model", "distil_text", "export_clip"))
    ids, _, _ = distil_text.compact_tokens(TEXTS)
    tower = distil_text.TextTower(len(ids), 1)
    state = export_clip.full_state(clip_model.FaceClip(0).state_dict(), tower.state_dict(), ids, 0)
    with pytest.raises(RuntimeError, match=r"visual\.trunk"):
        export_clip.export(tmp_path / "other", 1, state)
    assert list(tmp_path.iterdir()) == []


def test_texts_that_are_too_long_are_left_out_and_the_end_stays_the_largest_token(script: Script) -> None:
    ids, tokens, fits = script("distil_text").compact_tokens([*TEXTS, TOO_LONG])
    assert fits.tolist() == [True] * len(TEXTS) + [False]
    assert tokens.shape == (len(TEXTS), 24)
    full = open_clip.get_tokenizer("ViT-B-32")(TEXTS)[:, :24]
    assert torch.equal(ids[tokens], full)
    assert torch.equal(tokens.argmax(dim=1), full.argmax(dim=1))


def test_orders_go_from_short_to_long_by_chance_among_equals(script: Script) -> None:
    distil_text = script("distil_text")
    _, tokens, _ = distil_text.compact_tokens(TEXTS * 4)
    order = distil_text.by_length(tokens, torch.Generator().manual_seed(0))
    lengths = (tokens[order] != 0).sum(dim=1)
    assert sorted(order.tolist()) == list(range(len(tokens)))
    assert (lengths.diff() >= 0).all()
    assert not torch.equal(order, distil_text.by_length(tokens, torch.Generator().manual_seed(1)))


def test_the_distance_to_oneself_is_none_and_counts_differences(script: Script) -> None:
    distance = script("distil_text").distance
    first, second = unit_rows(6, 8, 0), unit_rows(6, 8, 1)
    assert distance([first, second], [first, second]).abs() < 1e-5
    assert torch.isclose(distance([first], [-first]), torch.tensor(2 + 0.5 * 2))
    assert torch.isclose(distance([first], [second]) * 2, distance([first, second], [second, first]))


def test_the_tower_comes_nearer_to_the_heads(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    distil_text = script("distil_text")
    for name, value in {"BATCH": 4, "WARM_UP": 1}.items():
        monkeypatch.setattr(distil_text, name, value)
    torch.manual_seed(0)
    ids, tokens, _ = distil_text.compact_tokens([*TEXTS, *(f"a {text}" for text in TEXTS)])
    tower, wanted = distil_text.TextTower(len(ids), 2), [unit_rows(len(tokens), 256, seed) for seed in (1, 2)]
    order = distil_text.by_length(tokens, torch.Generator().manual_seed(0))
    losses = list(distil_text.train(tower, tokens, wanted, (order, order), steps=60, seed=0))
    assert len(losses) == 60 and sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_a_text_head_is_that_of_the_clip(script: Script, tmp_path: Path) -> None:
    clip_model, path = script("clip_model"), tmp_path / "clip.pt"
    clip, sentences = clip_model.FaceClip(0), unit_rows(3, 384, 0)
    clip_model.save_clip(clip, path)
    with torch.no_grad():
        found = F.normalize(clip_model.text_head(path)(sentences), dim=-1)
        assert torch.allclose(found, clip.embed_texts(sentences), atol=2e-3)


class Words:
    """A CLIP of one number: words by the place of their style, those of `wrong` by the photo's."""

    def __init__(self, script: Script, wrong: set[str]) -> None:
        captions, prompts = script("captions"), script("evaluate_clip").PROMPTS
        places = {style: place for place, style in enumerate(prompts)}
        self.places = {prompt: places[style] for style, prompt in prompts.items()}
        for style, words in captions.HELD_OUT.items():
            self.places |= {word: 0 if word in wrong else places[style] for word in words}

    def class_embedding(self, word: str) -> Tensor:
        return F.one_hot(torch.tensor(self.places[word]), 64).float()


def test_wrong_words_are_told_with_what_they_were_taken_for(script: Script) -> None:
    wrong_words = script("evaluate_clip").wrong_words
    assert wrong_words(Words(script, set())) == []
    assert wrong_words(Words(script, {"azure", "gouache"})) == ["gouache (photo)", "azure (photo)"]
