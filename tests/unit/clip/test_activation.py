"""Weights of QuickGELU are never under a model of GELU, nor the other way: every embedding would be off."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from nada.clip import activation
from nada.clip.loading import check_clip
from nada.clip.open_clip_import import open_clip
from nada.config import Activation, ClipConfig
from nada.errors import CheckpointError, GuideError

QUICK, PLAIN = "ViT-B-32-quickgelu", "ViT-B-32"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "clip.safetensors").write_bytes(b"weights")
    return tmp_path / "clip.safetensors"


def check(name: str, weights: object, stated: Activation | None = None, config_dir: Path | None = None) -> None:
    config = ClipConfig(name=name, weights=str(weights), activation=stated)
    check_clip(config, None if config_dir is None else str(config_dir))


def test_every_tag_of_quickgelu_is_refused_under_a_name_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nada.clip.loading.check_reachable", lambda name, tag: None)
    refused = []
    for name, tag in open_clip.list_pretrained():
        is_quick = open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False)
        config = open_clip.get_model_config(name)
        if config is None:
            continue
        if is_quick and not config.get("quick_gelu", False):
            with pytest.raises(GuideError, match=f"{tag}.* was trained with QuickGELU; write name: {name}-quickgelu$"):
                check(name, tag)
            assert open_clip.get_model_config(f"{name}-quickgelu")["quick_gelu"]
            refused.append((name, tag))
        else:
            check(name, tag)
    assert ("ViT-B-32", "openai") in refused and len(refused) > 20


def test_a_file_that_may_be_either_must_be_told_of(file: Path) -> None:
    with pytest.raises(CheckpointError, match=f"Nothing in it says; write name: {QUICK}, or add activation: gelu$"):
        check(PLAIN, file)
    check(PLAIN, file, "gelu")
    check(QUICK, file)
    check(QUICK, file, "quickgelu")


@pytest.mark.parametrize(("name", "stated", "right"), [(PLAIN, "quickgelu", QUICK), (QUICK, "gelu", PLAIN)])
def test_a_statement_that_the_name_denies_names_the_right_one(
    file: Path, name: str, stated: Activation, right: str
) -> None:
    with pytest.raises(CheckpointError, match=f"activation says {stated}, {name} has .*; write name: {right}$"):
        check(name, file, stated)


@pytest.mark.parametrize("is_quick", [True, False])
def test_the_configuration_beside_a_file_is_believed(file: Path, is_quick: bool) -> None:
    content = {"model_cfg": {"embed_dim": 512, **({"quick_gelu": True} if is_quick else {})}}
    (file.parent / "open_clip_config.json").write_text(json.dumps(content))
    right, wrong = (QUICK, PLAIN) if is_quick else (PLAIN, QUICK)
    check(right, file)
    with pytest.raises(CheckpointError, match=f"trained with .*GELU; write name: {right}$"):
        check(wrong, file)


@pytest.mark.parametrize("content", ["{", "[]", '{"model_cfg": 3}'])
def test_a_damaged_configuration_beside_says_nothing(file: Path, content: str) -> None:
    (file.parent / "open_clip_config.json").write_text(content)
    with pytest.raises(CheckpointError, match="Nothing in it says"):
        check(PLAIN, file)


def test_a_file_in_the_hubs_cache_is_known_by_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "models--timm--vit_base_patch32_clip_224.openai" / "snapshots" / "0" / "clip.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    with pytest.raises(CheckpointError, match=f"trained with QuickGELU; write name: {QUICK}$"):
        check(PLAIN, file)
    check(QUICK, file)


def test_a_published_file_is_known_by_its_name_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = hashlib.sha256(b"weights").hexdigest()
    published = {"url": f"https://example.org/{sha256}/ViT-B-32.pt", "quick_gelu": True}
    monkeypatch.setattr(activation.open_clip, "get_pretrained_cfg", lambda name, tag: published)
    (tmp_path / "ViT-B-32.pt").write_bytes(b"weights")
    with pytest.raises(CheckpointError, match=f"trained with QuickGELU; write name: {QUICK}$"):
        check(PLAIN, tmp_path / "ViT-B-32.pt")
    (tmp_path / "ViT-B-32.pt").write_bytes(b"others")
    check(PLAIN, tmp_path / "ViT-B-32.pt", "gelu")


def test_a_model_of_the_projects_own_says_it_in_its_json(tiny_world: Path) -> None:
    check("tiny-guide", tiny_world / "tiny-guide.safetensors", config_dir=tiny_world)
    with pytest.raises(CheckpointError, match=r"give it a JSON of its own in guide\.config_dir"):
        check("tiny-guide", tiny_world / "tiny-guide.safetensors", "quickgelu", tiny_world)
